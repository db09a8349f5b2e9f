package stages

import (
	"context"
	"time"
)

// view is what a stage sees of its meter. The parts of a chained stage share
// one meter, and each may count only what crosses the whole stage's border.
type view struct {
	meter         *Meter // nil outside a Run: nothing is counted
	in, out, work bool
}

type viewKey struct{}

func withMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, viewKey{}, view{meter: m, in: true, out: true, work: true})
}

// meterOf is the meter of the stage that ctx belongs to.
func meterOf(ctx context.Context) view {
	v, _ := ctx.Value(viewKey{}).(view)
	return v
}

// firstPart and lastPart are the contexts of the two halves of a chain.
func firstPart(ctx context.Context) context.Context {
	v := meterOf(ctx)
	v.out = false
	return context.WithValue(ctx, viewKey{}, v)
}

func lastPart(ctx context.Context) context.Context {
	v := meterOf(ctx)
	v.in = false
	return context.WithValue(ctx, viewKey{}, v)
}

// unmetered runs a part of a chain whose work is not the stage's own: encoding
// and decoding beside the R code that a map is about.
func unmetered[I, O any](s Stage[I, O]) Stage[I, O] {
	return func(ctx context.Context, in <-chan *Batch[I], out chan<- *Batch[O]) error {
		v := meterOf(ctx)
		v.work = false
		return s(context.WithValue(ctx, viewKey{}, v), in, out)
	}
}

func (v view) received(rows int, bytes int64, waited time.Duration) {
	if v.meter != nil && v.in {
		v.meter.received(rows, bytes, waited)
	}
}

func (v view) sent(rows int, bytes int64, waited time.Duration) {
	if v.meter != nil && v.out {
		v.meter.sent(rows, bytes, waited)
	}
}

// waitsForInput counts a goroutine that waits for a batch, until end.
func (v view) waitsForInput() (end func()) {
	if v.meter == nil || !v.in {
		return func() {}
	}
	return v.meter.begin(&v.meter.waitIn)
}

// waitsForRoom counts one that waits for what comes after it.
func (v view) waitsForRoom() (end func()) {
	if v.meter == nil || !v.out {
		return func() {}
	}
	return v.meter.begin(&v.meter.waitOut)
}

// number gives rows their place in the stage's output.
func (v view) number(first *int64, rows int) {
	if v.meter != nil && v.out {
		*first = v.meter.numbered.Add(int64(rows)) - int64(rows)
	}
}

// cut counts a batch by the reason for which it was cut: rows, bytes, period,
// epoch or end.
func (v view) cut(reason string) {
	if v.meter != nil {
		v.meter.reasons.add(reason)
	}
}

// failed counts an error by its class.
func (v view) failed(err error) {
	if v.meter != nil {
		v.meter.errors.add(Class(err))
	}
}

// staffed says how many batches the stage may work on at once.
func (v view) staffed(workers int) {
	if v.meter != nil && v.work {
		v.meter.workers.Store(int64(workers))
	}
}

// working counts one batch in, and returns what counts it out again.
func (v view) working() (done func()) {
	if v.meter == nil || !v.work {
		return func() {}
	}
	start, end := time.Now(), v.meter.begin(&v.meter.works)
	v.meter.inside.Add(1)
	return func() {
		end()
		v.meter.inside.Add(-1)
		v.meter.work.Add(int64(time.Since(start)))
	}
}
