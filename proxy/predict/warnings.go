package predict

import "sync"

// maxWarnings is how many different R warnings of one endpoint are told.
const maxWarnings = 20

// told is the warnings that the log has: a model tends to give the same one for
// each batch.
type told struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first reports whether a warning is to be told.
func (t *told) first(message string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[message] || len(t.seen) >= maxWarnings {
		return false
	}
	if t.seen == nil {
		t.seen = map[string]bool{}
	}
	t.seen[message] = true
	return true
}

func (f *flow) warned(messages []string) {
	for _, m := range messages {
		if f.told.first(m) {
			f.log.Warn("R warning (told once)", "fun", f.fun.name, "warning", m)
		}
	}
}
