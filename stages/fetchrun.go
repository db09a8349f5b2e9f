package stages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/webapi"
)

// fetcher is one fetch, and one stream through it. All but fetch runs in one goroutine, which
// starts rows, takes them back in the order in which they come, and gathers them
// into batches; the rows' requests run in workers.
type fetcher struct {
	config   *Fetch
	env      *Env
	requests []*compiledRequest
	client   webapi.Doer
	gate     *gate
	failures *failures
	accepted *atomic.Bool // a request has had a good answer
	done     chan *fetchedRow
	window   int // rows that may be with the workers; done has room for them

	view    view
	out     chan<- *Rows
	workers *pool.Pool

	current *fetchInput // of which rows are to be started; nil for none
	next    int         // row of current
	inputs  int
	ended   bool          // the input
	open    int           // rows with the workers
	queue   []*fetchedRow // ordered: rows that have been started and not gathered
	quiet   time.Time     // when something came last

	shape    fetchShape
	absent   *absences
	makers   []partMaker
	gathered map[uint64]*gathering // by epoch
	waiting  int                   // rows in gathered
	suspects []*fetchedRow         // refused with 401 or 403 while nothing was accepted
	sent     bool
	seen     *frame.Schema // of the input
	seq      uint64
}

func (f *fetcher) run(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
	ctx, cancel := context.WithCancelCause(ctx)
	f.workers = newWorkers(f.window)
	defer f.workers.Wait()
	defer cancel(nil) // before the wait: requests end at once
	f.view, f.out = meterOf(ctx), out
	if !f.env.Interactive { // else many streams pass it
		f.gate.view = f.view
	}
	f.view.staffed(f.config.InFlight)
	f.quiet = time.Now()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		f.start(ctx)
		if f.ended && f.current == nil && f.open == 0 {
			return f.finish(ctx)
		}
		var from <-chan *Rows
		if !f.ended && f.current == nil && f.room() {
			from = in
		}
		var due <-chan time.Time
		if at := f.due(); !at.IsZero() {
			alarm.Reset(time.Until(at))
			due = alarm.C
		}
		if err := f.step(ctx, from, due); err != nil {
			return err
		}
	}
}

// step waits for whatever comes next, and deals with it.
func (f *fetcher) step(ctx context.Context, from <-chan *Rows, due <-chan time.Time) error {
	waited := time.Now()
	select {
	case b, ok := <-from:
		f.quiet = time.Now()
		if !ok {
			f.ended = true
			return nil
		}
		idle := time.Duration(0)
		if f.open == 0 {
			idle = time.Since(waited)
		}
		f.view.received(b.Rows, b.Bytes, idle)
		return f.receive(b)
	case r := <-f.done:
		f.open--
		f.quiet = time.Now()
		r.done = true
		return f.back(ctx, r)
	case <-due:
		return f.flushDue(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive begins with a batch.
func (f *fetcher) receive(b *Rows) error {
	f.seen = b.Value.Schema()
	if b.Rows == 0 {
		b.Settle(nil)
		return nil
	}
	in := &fetchInput{batch: b, number: f.inputs, left: b.Rows}
	f.inputs++
	for _, r := range f.requests {
		columns, when, err := r.resolve(f.seen)
		if err != nil {
			return At(b, fmt.Errorf("%s%w", r.label(), err))
		}
		in.columns = append(in.columns, columns)
		in.when = append(in.when, when)
	}
	f.current, f.next = in, 0
	return nil
}

func (f *fetcher) room() bool {
	return f.open < f.window && (!f.config.Ordered || len(f.queue) < max(aheadRows, f.window))
}

// start gives rows to the workers.
func (f *fetcher) start(ctx context.Context) {
	for f.current != nil && f.room() {
		r := &fetchedRow{in: f.current, row: f.next}
		f.open++
		if f.config.Ordered {
			f.queue = append(f.queue, r)
		}
		if f.next++; f.next == f.current.batch.Rows {
			f.current = nil
		}
		f.workers.Go(func() {
			if err := guard(func() error { f.fetch(ctx, r); return nil }); err != nil {
				r.err = &panicked{err}
			}
			f.done <- r
		})
	}
}

// panicked is a mistake in the program, which ends the run whatever on_error says.
type panicked struct{ error }

// back takes a row that has come back.
func (f *fetcher) back(ctx context.Context, r *fetchedRow) error {
	if err := f.absolve(ctx); err != nil {
		return err
	}
	if !f.config.Ordered {
		return f.arrived(ctx, r)
	}
	for len(f.queue) > 0 && f.queue[0].done {
		r := f.queue[0]
		f.queue[0] = nil
		f.queue = f.queue[1:]
		if err := f.arrived(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetcher) warn(text string) {
	if f.env.Log != nil {
		f.env.Log.Warn(text)
	}
}

// arrived gathers a row, or gives it up.
func (f *fetcher) arrived(ctx context.Context, r *fetchedRow) error {
	if r.err == nil {
		return f.gather(ctx, r)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var broken *panicked
	var e *webapi.Error
	if f.failures.config.stops() || errors.As(r.err, &broken) {
		return r.failure()
	}
	if errors.As(r.err, &e) && e.Class == webapi.Fatal {
		if e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
			return r.failure()
		}
		if !f.accepted.Load() {
			f.suspects = append(f.suspects, r)
			if len(f.suspects) >= suspectRows {
				return f.accuse()
			}
			return nil
		}
	}
	return f.reject(ctx, r)
}

// failure is the row's error as the run's.
func (r *fetchedRow) failure() error {
	return &BatchError{Batch: fmt.Sprintf("row %d", r.in.batch.First+int64(r.row)+1), Err: r.err}
}

// reject gives a row up.
func (f *fetcher) reject(ctx context.Context, r *fetchedRow) error {
	if err := f.failures.reject(ctx, r.in.batch, r.row, r.row+1, r.tries, false, r.err); err != nil {
		return err
	}
	r.leave()
	return nil
}

// leave counts a row out of its batch, whose shares are settled with its last
// row: those of rows that went on are shared by then.
func (r *fetchedRow) leave() {
	if r.in.left--; r.in.left == 0 {
		r.in.batch.Settle(nil)
	}
}

// absolve gives up the suspects one by one once the credentials have proved good.
func (f *fetcher) absolve(ctx context.Context) error {
	if len(f.suspects) == 0 || !f.accepted.Load() {
		return nil
	}
	for _, r := range f.suspects {
		if err := f.reject(ctx, r); err != nil {
			return err
		}
	}
	f.suspects = nil
	return nil
}

// accuse ends a run whose credentials are wrong.
func (f *fetcher) accuse() error {
	first := f.suspects[0]
	first.err = fmt.Errorf("no request was accepted and %d refused, so auth is likely wrong: %w", len(f.suspects), first.err)
	return first.failure()
}

// finish sends what is left when the input has ended.
func (f *fetcher) finish(ctx context.Context) error {
	if err := f.absolve(ctx); err != nil {
		return err
	}
	if len(f.suspects) > 0 {
		return f.accuse()
	}
	if !f.env.Interactive { // the answers of one request show little
		if err := f.absent.end(f.warn); err != nil {
			return err
		}
	}
	if err := f.flushAll(ctx, "end"); err != nil {
		return err
	}
	if f.sent || f.seen == nil || !f.shape.decided() {
		return nil
	}
	schema, err := f.shape.schema(f.seen)
	if err != nil {
		return err
	}
	return Send(ctx, f.out, &Rows{Value: frame.Empty(schema)}) // at least the columns
}
