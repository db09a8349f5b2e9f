// Package stages is the flow runtime and the stages that pipelines are made of.
//
// A stage is a function that reads batches from one channel and writes batches
// to another. Three rules keep every graph drainable:
//
//   - a stage is the only writer of its output, which the runtime closes;
//   - every send selects on the context, and so does every receive that
//     somebody waits for;
//   - only the source hears a drain; every later stage ends when its input does.
//
// What is in flight is bounded by channel depths, by the number of batches a
// stage works on at once, by the leases of the R pool, and by the byte budget
// of the Ledger; so memory depends on the configuration, not on the input.
//
// Stages are generic. Pipelines instantiate them with frames, the HTTP front
// with requests; both put the same Pool stage in the middle.
package stages

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"

	"github.com/rpipe-dev/rpipe/trace"
)

// ErrDrained is the cause of a graceful stop.
var ErrDrained = errors.New("drained")

// StageError names the stage that ended a run.
type StageError struct {
	Stage string
	Batch string // which rows, such as "batch 3 (rows 20001-30000)"; "" where it is no batch's fault
	Err   error
}

func (e *StageError) Error() string {
	text := e.Err.Error()
	if e.Batch != "" {
		text = e.Batch + ": " + strings.TrimPrefix(text, e.Stage+": ")
	}
	if strings.HasPrefix(text, e.Stage+": ") { // said already
		return text
	}
	return e.Stage + ": " + text
}

func (e *StageError) Unwrap() error { return e.Err }

// BatchError marks an error as one batch's fault; the runtime turns it into the
// StageError's Batch.
type BatchError struct {
	Batch string
	Err   error
}

func (e *BatchError) Error() string { return e.Batch + ": " + e.Err.Error() }
func (e *BatchError) Unwrap() error { return e.Err }

// At says which rows err is about.
func At[T any](b *Batch[T], err error) error {
	var already *BatchError
	if err == nil || errors.As(err, &already) {
		return err
	}
	return &BatchError{Batch: Name(b), Err: err}
}

// Name is how people call a batch: its number where it was cut, and its rows in
// the input of the stage that has it, both from 1.
func Name[T any](b *Batch[T]) string {
	if b.Rows == 0 {
		return fmt.Sprintf("batch %d (no rows)", b.Seq+1)
	}
	return fmt.Sprintf("batch %d (rows %d-%d)", b.Seq+1, b.First+1, b.First+int64(b.Rows))
}

// Run owns the goroutines of one graph: New, then From, Then and To for its
// parts, then Wait.
type Run struct {
	ctx    context.Context // ends on the first error or a hard stop
	cancel context.CancelCauseFunc
	soft   context.Context // ends on a drain as well; only sources see it
	drain  context.CancelCauseFunc
	wg     conc.WaitGroup
	once   sync.Once
	err    error

	mu     sync.Mutex
	meters []*Meter
	queues []Queue
	from   map[any]string // who sends to a channel
}

// NewRun returns a run under ctx, whose end is a hard stop.
func NewRun(ctx context.Context) *Run {
	ctx, cancel := context.WithCancelCause(ctx)
	soft, drain := context.WithCancelCause(ctx)
	return &Run{ctx: ctx, cancel: cancel, soft: soft, drain: drain}
}

// Drain asks the source to stop reading; what was read is still delivered.
func (r *Run) Drain() { r.drain(ErrDrained) }

// Drained reports whether Drain was called before the run ended.
func (r *Run) Drained() bool { return errors.Is(context.Cause(r.soft), ErrDrained) }

// Stop cancels everything with a cause. After Wait it does nothing.
func (r *Run) Stop(cause error) { r.fail(cause) }

// Wait blocks until every stage has returned and reports the first error.
func (r *Run) Wait() error {
	r.wg.Wait()
	r.once.Do(func() {}) // a Stop from now on comes too late
	r.cancel(nil)
	return r.err
}

// Meters are the metrics of the run's parts, in the order they were joined.
func (r *Run) Meters() []*Meter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Meter(nil), r.meters...)
}

func (r *Run) fail(err error) {
	r.once.Do(func() {
		r.err = err
		r.cancel(err)
	})
}

// spawn runs one part under a meter of its own; its error or panic ends the run.
func (r *Run) spawn(name string, f func(ctx context.Context) error) {
	m := newMeter(name)
	r.mu.Lock()
	r.meters = append(r.meters, m)
	r.mu.Unlock()
	r.wg.Go(func() {
		ctx, span := trace.Start(r.ctx, "stage "+name)
		err := guard(func() error { return f(withMeter(ctx, m)) })
		m.finish()
		endStage(span, m, err)
		if err == nil {
			return
		}
		if cause := context.Cause(r.ctx); cause != nil && errors.Is(err, cause) {
			r.fail(err) // the run ends already; only the first error counts
			return
		}
		m.errors.add(Class(err))
		se := &StageError{Stage: name, Err: err}
		var be *BatchError
		if errors.As(err, &be) {
			se.Batch, se.Err = be.Batch, be.Err
		}
		r.fail(se)
	})
}

// guard turns a panic into an error that carries the stack.
func guard(f func() error) (err error) {
	var c panics.Catcher
	c.Try(func() { err = f() })
	if p := c.Recovered(); p != nil {
		return p.AsError()
	}
	return err
}

// Source produces batches until the input ends or soft does. It sends with hard.
type Source[T any] func(soft, hard context.Context, out chan<- *Batch[T]) error

// From starts a source whose output holds depth batches.
func From[T any](r *Run, name string, depth int, src Source[T]) <-chan *Batch[T] {
	out := make(chan *Batch[T], depth)
	sends(r, name, out)
	r.spawn(name, func(ctx context.Context) error {
		defer close(out)
		soft, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		stop := context.AfterFunc(r.soft, func() { cancel(context.Cause(r.soft)) })
		defer stop()
		return src(soft, ctx, out)
	})
	return out
}

// Then joins a stage.
func Then[I, O any](r *Run, name string, depth int, in <-chan *Batch[I], s Stage[I, O]) <-chan *Batch[O] {
	out := make(chan *Batch[O], depth)
	receives(r, name, in)
	sends(r, name, out)
	r.spawn(name, func(ctx context.Context) error {
		defer close(out)
		return s(ctx, in, out)
	})
	return out
}

// To joins the last part.
func To[T any](r *Run, name string, in <-chan *Batch[T], sink func(ctx context.Context, in <-chan *Batch[T]) error) {
	receives(r, name, in)
	r.spawn(name, func(ctx context.Context) error { return sink(ctx, in) })
}

// Chain makes one stage of two. Each runs in its own goroutine; depth batches
// may stand between them.
func Chain[A, B, C any](depth int, first Stage[A, B], second Stage[B, C]) Stage[A, C] {
	return func(ctx context.Context, in <-chan *Batch[A], out chan<- *Batch[C]) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		mid := make(chan *Batch[B], depth)
		var wg conc.WaitGroup
		var firstErr error
		wg.Go(func() {
			defer close(mid)
			firstErr = guard(func() error { return first(firstPart(ctx), in, mid) })
			if firstErr != nil {
				cancel(firstErr)
			}
		})
		err := second(lastPart(ctx), mid, out)
		if err != nil {
			cancel(err)
		}
		wg.Wait()
		if firstErr != nil && !errors.Is(firstErr, err) {
			return firstErr
		}
		return err
	}
}
