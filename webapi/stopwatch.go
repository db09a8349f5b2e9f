package webapi

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// stopwatch ends a try that takes too long, or whose server is silent for too long.
type stopwatch struct {
	cancel  context.CancelCauseFunc
	whole   *time.Timer // nil for no limit
	silence time.Duration

	mu      sync.Mutex
	silent  *time.Timer // nil while nobody listens
	stopped bool
}

// newStopwatch starts one; the context that it returns ends with its reason.
func newStopwatch(ctx context.Context, whole, silence time.Duration) (*stopwatch, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &stopwatch{cancel: cancel, silence: silence}
	if whole > 0 {
		w.whole = time.AfterFunc(whole, func() { cancel(fmt.Errorf("no whole answer within timeout, %v", whole)) })
	}
	return w, ctx
}

// listen begins to wait for the next byte.
func (w *stopwatch) listen() {
	if w.silence <= 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
	case w.silent == nil:
		w.silent = time.AfterFunc(w.silence, func() {
			w.cancel(fmt.Errorf("the server was silent for read_timeout, %v", w.silence))
		})
	default:
		w.silent.Reset(w.silence)
	}
}

func (w *stopwatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.whole != nil {
		w.whole.Stop()
	}
	if w.silent != nil {
		w.silent.Stop()
	}
	w.cancel(nil)
}

// watched tells the stopwatch of each byte that comes.
type watched struct {
	from  io.Reader
	clock *stopwatch
}

func (r *watched) Read(p []byte) (int, error) {
	r.clock.listen()
	return r.from.Read(p)
}
