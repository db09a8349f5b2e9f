package stages

import (
	"context"
	"errors"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// Work is one batch's request to the R pool. For is what the answer is for: a
// frame, an HTTP exchange.
type Work[T any] struct {
	For     T
	Rows    int
	Request *rpool.Request // nil where it could not be made: Part then says why
	// Context is of who waits for the answer: its end cancels the request, whose
	// error is then its cause. Nil is the stage's own.
	Context     context.Context
	MaxAttempts int // in place of PoolOptions.MaxAttempts; 0 is that
	// Part makes the request for the rows [from, to) alone. Nil where rows
	// depend on each other, so that a failed request cannot be taken apart.
	Part func(from, to int) (*rpool.Request, error)
}

// ValueError says that rows cannot be given to R, or that what R returned
// cannot be used: an error of these rows, not of the run.
type ValueError struct{ Err error }

func (e *ValueError) Error() string { return e.Err.Error() }
func (e *ValueError) Unwrap() error { return e.Err }

// Done is a Work with its answer.
type Done[T any] struct {
	For   T
	Parts []Part // in order; they cover every row once
}

// Part is what became of the rows [From, To) of a request: a Reply or an Err.
type Part struct {
	From, To int
	Reply    *rpool.Reply
	Err      error
	Attempts int
	Whole    bool // the rows failed together and were not taken apart further
}

// Executor runs requests in R: an *rpool.Pool here, the workers of a queue elsewhere.
// Several goroutines call it. Its errors are those of rpool.Pool.Do; any other says that
// it cannot be used.
type Executor interface {
	Do(ctx context.Context, env *rpool.Environment, priority rpool.Priority, req *rpool.Request) (*rpool.Reply, error)
}

// PoolOptions say how a stage uses the R pool.
type PoolOptions struct {
	Env         *rpool.Environment
	Priority    rpool.Priority
	InFlight    int  // requests handed to the pool at once
	Ordered     bool // replies in the order of the requests
	MaxAttempts int  // for a request whose worker died; 0 is 1
	RetryErrors bool // try a request whose code failed as well
	// Halvings is how often a failed request with a Part may be halved after
	// err; nil is never.
	Halvings func(err error) int
	// Answer says that whatever a request comes to is an answer (Part.Err), also
	// where no worker could be had: the queue is full, the pool is closed, R does
	// not start. Only the end of the stage's context ends the stage.
	Answer bool
}

// Pool is the stage that R works in: requests in, replies out. Pipelines put
// frames through it and the HTTP front requests; they may share one pool.
//
// What R does wrong is a reply too (Part.Err), for the next stage to judge. The
// stage itself fails only when the pool cannot work (see PoolOptions.Answer): it
// is closed, R does not start, or the context ends.
func Pool[T any](p Executor, o PoolOptions) Stage[*Work[T], *Done[T]] {
	return Parallel(o.InFlight, o.Ordered, func(ctx context.Context, b *Batch[*Work[T]]) (*Batch[*Done[T]], error) {
		w := b.Value
		attempts := make(map[int]int, 1)
		halvings := func(err error) int {
			if w.Part == nil || o.Halvings == nil {
				return 0
			}
			return o.Halvings(err)
		}
		stop := fatal
		if o.Answer {
			stop = func(error) bool { return ctx.Err() != nil }
		}
		own := ctx
		if w.Context != nil {
			var cancel context.CancelCauseFunc
			own, cancel = context.WithCancelCause(context.WithValue(w.Context, viewKey{}, meterOf(ctx)))
			defer cancel(nil)
			defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
		}
		call := func(from, to int) (reply *rpool.Reply, err error) {
			req, most := w.Request, o.MaxAttempts
			if w.MaxAttempts > 0 {
				most = w.MaxAttempts
			}
			if req == nil || from > 0 || to < w.Rows {
				if req, err = w.Part(from, to); err != nil {
					return nil, &ValueError{err}
				}
				most = min(most, partAttempts)
			}
			reply, attempts[from], err = try(own, p, &o, req, most)
			return reply, err
		}
		pieces, err := salvage(w.Rows, halvings, stop, func(from, to int) (reply *rpool.Reply, err error) {
			// A panic is this request's error, as others are: where errors are answers,
			// it must not end the stage for everybody else.
			if panicked := guard(func() error { reply, err = call(from, to); return nil }); panicked != nil {
				return nil, panicked
			}
			return reply, err
		})
		if err != nil {
			return nil, err
		}
		parts := make([]Part, len(pieces))
		for i, c := range pieces {
			parts[i] = Part{From: c.from, To: c.to, Reply: c.value, Err: c.err, Attempts: attempts[c.from], Whole: c.whole}
		}
		return Carry(b, &Done[T]{For: w.For, Parts: parts}, b.Rows, b.Bytes), nil
	})
}

// partAttempts is how often a part of a request that failed is tried: it is
// likely to be at fault, and each level of halving would try it anew.
const partAttempts = 2

// try runs a request until it is answered, fails for good, or has been tried often enough.
func try(ctx context.Context, p Executor, o *PoolOptions, req *rpool.Request, most int) (*rpool.Reply, int, error) {
	for n := 1; ; n++ {
		reply, err := p.Do(ctx, o.Env, o.Priority, req)
		for o.Priority == rpool.Bulk && crowded(err) {
			if err = anotherTurn(ctx, err); err == nil {
				reply, err = p.Do(ctx, o.Env, o.Priority, req)
			}
		}
		if err == nil || n >= most || fatal(err) || !retriable(err, o.RetryErrors) {
			return reply, n, err
		}
		meterOf(ctx).failed(err)
	}
}

// crowded reports whether a request had no worker because others had: the limits
// of a pool's queue are for requests that somebody waits for. What runs in bulk
// waits, and its source with it.
func crowded(err error) bool {
	return errors.Is(err, rpool.ErrQueueWait) || errors.Is(err, rpool.ErrQueueFull)
}

// fullPause is how long bulk stays away from a queue that is full.
const fullPause = 50 * time.Millisecond

// anotherTurn returns nil when it is time to ask again after err.
func anotherTurn(ctx context.Context, err error) error {
	var start *rpool.StartError
	if errors.As(err, &start) { // it waited for workers that cannot be
		return start
	}
	if errors.Is(err, rpool.ErrQueueWait) {
		return nil // it has waited
	}
	select {
	case <-time.After(fullPause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retriable reports whether the same request may fare better: the worker died,
// or, where that is asked for, its code failed or took too long.
func retriable(err error, codeToo bool) bool {
	var died *rpool.DiedError
	if errors.As(err, &died) {
		return true
	}
	var condition *rpool.ConditionError
	var timeout *rpool.TimeoutError
	return codeToo && (errors.As(err, &condition) || errors.As(err, &timeout))
}

// fatal reports whether err is not the request's: nothing can be done for others either.
func fatal(err error) bool {
	var condition *rpool.ConditionError
	var timeout *rpool.TimeoutError
	var died *rpool.DiedError
	var value *ValueError
	var size *rpool.FrameSizeError // half of the rows may fit
	return !errors.As(err, &condition) && !errors.As(err, &timeout) && !errors.As(err, &died) && !errors.As(err, &value) &&
		!errors.As(err, &size)
}
