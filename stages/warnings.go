package stages

import (
	"log/slog"
	"sync"
)

// maxWarnings is how many different R warnings of one stage are told.
const maxWarnings = 20

// warnings tells each R warning of a stage once: a million batches tend to give
// the same one.
type warnings struct {
	mu   sync.Mutex
	told map[string]bool
}

func (w *warnings) tell(log *slog.Logger, fun string, messages []string) {
	if len(messages) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range messages {
		switch {
		case w.told[m] || len(w.told) > maxWarnings:
			log.Debug("R warning", "fun", fun, "warning", m)
		case len(w.told) == maxWarnings:
			w.told[m] = true
			log.Warn("R gives more different warnings; --verbose shows all", "fun", fun)
		default:
			if w.told == nil {
				w.told = make(map[string]bool)
			}
			w.told[m] = true
			log.Warn("R warning (told once)", "fun", fun, "warning", m)
		}
	}
}
