package stages

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rpipe-dev/rpipe/rpool"
)

// OnError says what becomes of rows that a stage could not process. Stages
// embed it in their configuration.
type OnError struct {
	OnError     string     `yaml:"on_error" default:"stop" enum:"stop|retry|skip|dead_letter" doc:"What to do with rows that fail: stop ends the run; retry tries the batch again, max_attempts times in all, then ends the run; skip drops the rows and counts them; dead_letter writes them to the pipeline's dead_letter with the error, and goes on."`
	MaxAttempts int        `yaml:"max_attempts" default:"3" min:"1" doc:"How often a batch is tried whose R worker died, and, with on_error: retry, one whose code failed."`
	MaxHalvings int        `yaml:"max_halvings" default:"16" min:"0" doc:"With skip or dead_letter and rows that do not depend on each other: how often what failed is halved to find the bad rows. After a timeout once at most. What is left is rejected whole, and marked."`
	MaxFailed   *MaxFailed `yaml:"max_failed" doc:"Ends a run that skips or sets aside too many rows."`
}

// MaxFailed stops a run in which more than Count of the last Of rows failed.
type MaxFailed struct {
	Count int `yaml:"count" default:"0" min:"0" doc:"How many of the last rows may fail."`
	Of    int `yaml:"of" default:"1000" min:"1" doc:"How many rows are looked back on."`
}

// DeadLetters reports whether rows that fail go to the dead letter.
func (c *OnError) DeadLetters() bool { return c.OnError == "dead_letter" }

// stops reports whether the first error ends the run.
func (c *OnError) stops() bool { return c.OnError == "" || c.OnError == "stop" || c.OnError == "retry" }

// halvings is how often rows may be taken apart after err.
func (c *OnError) halvings(err error) int {
	var timeout *rpool.TimeoutError
	if errors.As(err, &timeout) {
		return min(1, c.MaxHalvings)
	}
	return c.MaxHalvings
}

// failures carries out one stage's OnError in one run.
type failures struct {
	config *OnError
	env    *Env
	window window
}

func newFailures(c *OnError, env *Env) *failures { return &failures{config: c, env: env} }

// passed tells of rows that did not fail.
func (f *failures) passed(rows int) {
	if m := f.config.MaxFailed; m != nil && !f.env.Interactive {
		f.window.add(rows, 0, m.Of)
	}
}

// reject gives up rows [from, to) of b for err. It takes one more share of b's
// origins, which the runtime's Reject settles.
func (f *failures) reject(ctx context.Context, b *Rows, from, to, attempts int, whole bool, err error) error {
	meterOf(ctx).failed(err)
	r := &Rejected{
		Stage: f.env.Stage, Frame: b.Value, First: b.First + int64(from), Err: err,
		Attempt: attempts, Whole: whole, Drop: f.config.OnError == "skip",
	}
	if from > 0 || to < b.Rows {
		r.Frame = sliceRows(b.Value, from, to)
	}
	r.Batch = WithFrame(b, r.Frame)
	r.Batch.Origins = share(b.Origins)
	var condition *rpool.ConditionError
	if errors.As(err, &condition) {
		r.Traceback = condition.Traceback
	}
	if err := f.env.Reject(ctx, r); err != nil {
		return err
	}
	if m := f.config.MaxFailed; m != nil && !f.env.Interactive {
		if failed := f.window.add(to-from, to-from, m.Of); failed > m.Count {
			return At(b, fmt.Errorf("%d of the last %d rows failed, and max_failed allows %d; the last error: %w", failed, m.Of, m.Count, err))
		}
	}
	return nil
}

// window counts failures among the last rows.
type window struct {
	mu     sync.Mutex
	spans  []span
	rows   int
	failed int
}

type span struct{ rows, failed int }

// add counts rows, forgets those beyond the last of, and returns how many of
// the remaining ones failed.
func (w *window) add(rows, failed, of int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = append(w.spans, span{rows, failed})
	w.rows += rows
	w.failed += failed
	for len(w.spans) > 1 && w.rows-w.spans[0].rows >= of {
		w.rows -= w.spans[0].rows
		w.failed -= w.spans[0].failed
		w.spans = w.spans[1:]
	}
	return w.failed
}
