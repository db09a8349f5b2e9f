package stages

import (
	"context"
	"errors"
	"time"
)

// errIdle says that nothing came in the time given.
var errIdle = errors.New("idle")

// receiveUntil is Receive with an end of its own: errIdle once idle fires.
func receiveUntil[T any](ctx context.Context, in <-chan *Batch[T], idle <-chan time.Time) (b *Batch[T], ok bool, err error) {
	start := time.Now()
	defer meterOf(ctx).waitsForInput()()
	select {
	case b, ok = <-in:
		if ok {
			meterOf(ctx).received(b.Rows, b.Bytes, time.Since(start))
		}
		return b, ok, nil
	case <-idle:
		return nil, false, errIdle
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
}

// Send numbers b's rows in the stream that it leaves by, and delivers b unless ctx ends first. What was not delivered is not settled:
// the run ends.
func Send[T any](ctx context.Context, out chan<- *Batch[T], b *Batch[T]) error {
	m := meterOf(ctx)
	m.number(&b.First, b.Rows)
	select {
	case out <- b:
		m.sent(b.Rows, b.Bytes, 0)
		return nil
	default:
	}
	start := time.Now()
	defer m.waitsForRoom()()
	select {
	case out <- b:
		m.sent(b.Rows, b.Bytes, time.Since(start))
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Receive takes the next batch; ok is false when the input has ended. The error
// is the context's cause.
func Receive[T any](ctx context.Context, in <-chan *Batch[T]) (b *Batch[T], ok bool, err error) {
	m := meterOf(ctx)
	select {
	case b, ok = <-in:
		if ok {
			m.received(b.Rows, b.Bytes, 0)
		}
		return b, ok, nil
	default:
	}
	start := time.Now()
	defer m.waitsForInput()()
	select {
	case b, ok = <-in:
		if ok {
			m.received(b.Rows, b.Bytes, time.Since(start))
		}
		return b, ok, nil
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
}

// Waits counts the time until end as one in which the part waits for what comes after it,
// as a source does for memory, or for a commit.
func Waits(ctx context.Context) (end func()) {
	m, start := meterOf(ctx), time.Now()
	wait := m.waitsForRoom()
	return func() {
		wait()
		if m.meter != nil && m.out {
			m.meter.blockedOut.Add(int64(time.Since(start)))
		}
	}
}

// Wrote counts a batch that a sink has written: it leaves the graph.
func Wrote[T any](ctx context.Context, b *Batch[T]) { meterOf(ctx).sent(b.Rows, b.Bytes, 0) }
