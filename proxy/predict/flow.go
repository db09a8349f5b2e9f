package predict

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc/panics"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// flow is the graph of an endpoint's function: callers, batcher, R, replies.
type flow struct {
	run     *stages.Run
	in      chan *stages.Batch[*call]
	batcher *batcher
	fun     *function
	log     *slog.Logger
	told    told
	queue   queue
	waiting atomic.Int64  // calls that are in no batch yet
	ended   chan struct{} // closed when nothing is under way
	broken  chan struct{} // closed when the graph has ended by itself: nobody answers
	cause   error         // why; set before broken is closed
}

// queue bounds the calls that wait for a batch.
type queue struct {
	length int64
	wait   time.Duration // 0 is no limit
}

// flowOptions are what a flow needs of its endpoint.
type flowOptions struct {
	pool        *rpool.Pool
	env         *rpool.Environment
	log         *slog.Logger
	fun         *function
	policy      policy
	queue       queue
	concurrency int
	attempts    int
	halvings    int
}

// newFlow starts the graph. It ends with drain.
func newFlow(ctx context.Context, o flowOptions) *flow {
	f := &flow{
		run: stages.NewRun(ctx), in: make(chan *stages.Batch[*call]), batcher: newBatcher(o.policy, o.concurrency),
		fun: o.fun, queue: o.queue, log: o.log, ended: make(chan struct{}), broken: make(chan struct{}),
	}
	calls := stages.From(f.run, "requests", 0, f.listen)
	requests := stages.Then(f.run, "batch", 0, calls, f.batcher.run)
	work := stages.Then(f.run, "encode", 0, requests, stages.Parallel(o.concurrency, false, f.encode))
	replies := stages.Then(f.run, "r", 0, work, stages.Pool[*batch](o.pool, stages.PoolOptions{
		Env: o.env, Priority: rpool.Interactive, InFlight: o.concurrency, MaxAttempts: o.attempts, Answer: true,
		Halvings: func(err error) int { return halvings(err, o.halvings) },
	}))
	stages.To(f.run, "answer", replies, f.answer)
	return f
}

// halvings is how often a batch that failed with err may be halved: not at all
// where the rows are not at fault.
func halvings(err error, most int) int {
	var condition *rpool.ConditionError
	var timeout *rpool.TimeoutError
	var value *stages.ValueError
	var size *rpool.FrameSizeError
	switch {
	case errors.As(err, &timeout):
		return min(1, most)
	case errors.As(err, &condition):
		for _, class := range condition.Classes {
			if class == "rpipe_no_function" {
				return 0
			}
		}
		return most
	case errors.As(err, &value), errors.As(err, &size):
		return most
	}
	return 0
}

// listen is the source: it hands calls on until a drain.
func (f *flow) listen(soft, hard context.Context, out chan<- *stages.Batch[*call]) error {
	for {
		select {
		case c := <-f.in:
			_ = stages.Send(hard, out, c) // whose error is the end of hard, and of soft
		case <-soft.Done():
			if hard.Err() == nil || f.run.Drained() {
				return nil
			}
			f.cause = context.Cause(hard)
			f.log.Error("a prediction endpoint answers no more, by a fault of rpipe: reload to have it back", "error", f.cause)
			close(f.broken)
			return f.cause
		}
	}
}

// encode makes the request of a batch. Where it cannot, the Pool stage finds out
// which rows are at fault.
func (f *flow) encode(_ context.Context, b *stages.Batch[*work]) (*stages.Batch[*work], error) {
	w := b.Value
	w.Part = func(from, to int) (*rpool.Request, error) { return f.fun.request(w.For, from, to) }
	panics.Try(func() { w.Request, _ = w.Part(0, w.Rows) })
	return b, nil
}

// answer is the sink: it gives each caller its rows.
func (f *flow) answer(ctx context.Context, in <-chan *stages.Batch[*stages.Done[*batch]]) error {
	for {
		b, ok, err := stages.Receive(ctx, in)
		if !ok || err != nil {
			return err
		}
		f.batcher.inside.Add(-int64(len(b.Value.For.calls)))
		<-f.batcher.slots
		b.Value.For.release()
		f.deliver(b.Value.For, b.Value.Parts)
		stages.Wrote(ctx, b)
	}
}

// do sends a call through the graph. The error is why it did not get into a batch,
// or why its caller does not wait for it any more: the cause of its context,
// rpool.ErrQueueFull, rpool.ErrQueueWait or fault.ErrDraining.
func (f *flow) do(c *call) (outcome, error) {
	if f.waiting.Add(1) > f.queue.length {
		f.waiting.Add(-1)
		return outcome{}, rpool.ErrQueueFull
	}
	c.line = &f.waiting
	leave := func(err error) (outcome, error) {
		if c.giveUp() {
			f.batcher.wake()
		}
		return outcome{}, err
	}
	var late <-chan time.Time
	if f.queue.wait > 0 {
		timer := time.NewTimer(f.queue.wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case f.in <- &stages.Batch[*call]{Rows: int(c.rows.NumRows()), Bytes: c.bytes, Value: c}:
	case <-c.ctx.Done():
		return leave(context.Cause(c.ctx))
	case <-f.ended:
		return leave(fault.ErrDraining)
	case <-f.broken:
		return leave(f.cause)
	}
	for {
		select {
		case o := <-c.done:
			return o, nil
		case <-c.ctx.Done():
			return leave(context.Cause(c.ctx))
		case <-late:
			if c.giveUp() {
				f.batcher.wake()
				return outcome{}, rpool.ErrQueueWait
			}
			late = nil // it is in R
		case <-f.ended:
			select { // it may have been the last
			case o := <-c.done:
				return o, nil
			default:
				return leave(fault.ErrDraining)
			}
		case <-f.broken:
			select {
			case o := <-c.done:
				return o, nil
			default:
				return leave(f.cause)
			}
		}
	}
}

// drain ends the graph when nothing is under way; the end of ctx cancels what is.
func (f *flow) drain(ctx context.Context) error {
	f.run.Drain()
	stop := context.AfterFunc(ctx, func() { f.run.Stop(context.Cause(ctx)) })
	defer stop()
	err := f.run.Wait()
	close(f.ended)
	return err
}
