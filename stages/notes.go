package stages

import (
	"encoding/json"
	"fmt"
	"sync"
)

// notes are what the parts of a run must know again after a crash: the schema
// that a stage has settled on, the number of the next batch. Each note belongs
// to an epoch; the journal keeps, of each part, the last note of the epochs that
// are committed.
type notes struct {
	mu   sync.Mutex
	kept map[string][]note // by label, in the order of epochs
	old  map[string]json.RawMessage
}

type note struct {
	epoch uint64
	value json.RawMessage
}

// settled is the epoch of a note that holds for the whole run, such as the columns
// that a stage has settled on: the first, so that each commit has it. Rows of a
// later epoch may have settled it, and rows of an earlier one may follow.
func settled(epoch uint64) uint64 { return min(epoch, 1) }

// Keep puts on record what this component must know to go on after epoch. Of
// one epoch the last value counts.
func (e *Env) Keep(epoch uint64, value any) error {
	if e.shared == nil || e.Interactive {
		return nil
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: keep its state: %w", e.Stage, err)
	}
	n := &e.shared.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept = map[string][]note{}
	}
	of := n.kept[e.Stage]
	for len(of) > 0 && of[len(of)-1].epoch >= epoch { // of one that came out of order the newer holds
		if of[len(of)-1].epoch > epoch {
			return nil
		}
		of = of[:len(of)-1]
	}
	n.kept[e.Stage] = append(of, note{epoch, b})
	return nil
}

// Recall fills into with what an earlier process of the run has kept; ok is
// false where there is nothing.
func (e *Env) Recall(into any) (ok bool, err error) {
	if e.shared == nil {
		return false, nil
	}
	b, ok := e.shared.notes.old[e.Stage]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, fmt.Errorf("%s: its state of before: %w", e.Stage, err)
	}
	return true, nil
}

// Notes are what all components have kept up to the end of epoch, by label. What
// was kept of the final epoch belongs to it alone.
func (e *Env) Notes(epoch uint64) map[string]json.RawMessage {
	n := &e.shared.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]json.RawMessage{}
	for label, b := range n.old {
		out[label] = b
	}
	for label, of := range n.kept {
		for i, k := range of {
			if k.epoch > epoch {
				break
			}
			if k.epoch != FinalEpoch || epoch == FinalEpoch { // what stands behind a blocking stage begins anew
				out[label] = k.value
			}
			if i > 0 {
				of[i-1].value = nil
			}
		}
	}
	return out
}

// Remember is called before any component is built, with Notes of an earlier process.
func (e *Env) Remember(old map[string]json.RawMessage) { e.shared.notes.old = old }
