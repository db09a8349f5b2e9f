package stages

import (
	"context"
	"sync/atomic"

	"github.com/sourcegraph/conc"
)

// Parallel runs f on up to workers batches at once. Ordered, its output has the
// order of its input: a one-slot future for each batch in flight is queued in
// input order, so one slow batch holds back at most workers finished ones.
//
// f owns its batch. A nil result with a nil error means that nothing is sent
// on; f has then settled the batch. An error ends the stage.
func Parallel[I, O any](workers int, ordered bool, f func(context.Context, *Batch[I]) (*Batch[O], error)) Stage[I, O] {
	workers = max(1, workers)
	if ordered {
		return parallelOrdered(workers, f)
	}
	return parallelUnordered(workers, f)
}

func parallelOrdered[I, O any](workers int, f func(context.Context, *Batch[I]) (*Batch[O], error)) Stage[I, O] {
	type result struct {
		b   *Batch[O]
		err error
	}
	return func(ctx context.Context, in <-chan *Batch[I], out chan<- *Batch[O]) error {
		ctx, cancel := context.WithCancelCause(ctx)
		view := meterOf(ctx)
		view.staffed(workers)

		// The writer holds one more slot than the channel does.
		slots := make(chan chan result, workers-1)
		var wg conc.WaitGroup
		defer wg.Wait()
		defer cancel(nil) // before wg.Wait: a feeder that waits for input must not hold us
		wg.Go(func() {
			defer close(slots)
			for {
				b, ok, err := Receive(ctx, in)
				if !ok || err != nil {
					return
				}
				slot := make(chan result, 1)
				select {
				case slots <- slot:
				case <-ctx.Done():
					return
				}
				wg.Go(func() {
					var r result
					done := view.working()
					ctx, span := startBatch(ctx, "batch", b)
					r.err = guard(func() (err error) { r.b, err = f(ctx, b); return err })
					span.End(r.err)
					done()
					slot <- r
				})
			}
		})
		for slot := range slots {
			r := <-slot
			if r.err == nil && r.b != nil {
				r.err = Send(ctx, out, r.b)
			}
			if r.err != nil {
				cancel(r.err)
				return r.err
			}
		}
		return context.Cause(ctx)
	}
}

func parallelUnordered[I, O any](workers int, f func(context.Context, *Batch[I]) (*Batch[O], error)) Stage[I, O] {
	return func(ctx context.Context, in <-chan *Batch[I], out chan<- *Batch[O]) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		view := meterOf(ctx)
		view.staffed(workers)

		// There is always one that waits for a batch, up to workers: a stage that may
		// have thousands in flight has as many goroutines only when it does.
		var wg conc.WaitGroup
		var idle, started atomic.Int64
		var start func()
		work := func() error {
			for {
				idle.Add(1)
				b, ok, err := Receive(ctx, in)
				if idle.Add(-1) == 0 && ok && err == nil {
					start()
				}
				if !ok || err != nil {
					return err
				}
				done := view.working()
				own, span := startBatch(ctx, "batch", b)
				o, err := f(own, b)
				span.End(err)
				done()
				if err == nil && o != nil {
					err = Send(ctx, out, o)
				}
				if err != nil {
					return err
				}
			}
		}
		start = func() {
			if started.Add(1) > int64(workers) {
				started.Add(-1)
				return
			}
			wg.Go(func() {
				if err := guard(work); err != nil {
					cancel(err) // the first cause stays
				}
			})
		}
		start()
		wg.Wait()
		return context.Cause(ctx)
	}
}
