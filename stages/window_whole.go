package stages

import (
	"context"
	"fmt"

	"github.com/rpipe-dev/rpipe/frame"
)

// windowed is an input that has an end: its rows get the column of their window,
// and those without a time are given up.
func (g *grouped) windowed(env *Env, next SQLInput) SQLInput {
	return func(ctx context.Context) (frame.Frame, error) {
		f, err := next(ctx)
		if err != nil {
			return nil, err
		}
		timed, timeless := g.clock.timed(f)
		if len(timeless) > 0 {
			// Nobody keeps accounts of them any more: the input was settled as it came.
			b := &Rows{Value: f, Rows: int(f.NumRows()), First: -1, Epoch: FinalEpoch}
			if err := g.config.Window.reject(ctx, env, b, timeless, g.clock.noTime()); err != nil {
				return nil, err
			}
			if f, err = frame.Take(f, timed); err != nil {
				return nil, err
			}
		}
		at := timesOf(f.Column(g.clock.column))
		return g.clock.extend(g.in, f, func(i int) int64 { return g.clock.start(at(i)) })
	}
}

// timed are the rows that have a time, where some have none.
func (k *windowClock) timed(f frame.Frame) (timed, timeless []int32) {
	a := f.Column(k.column)
	if a.NullN() == 0 {
		return nil, nil
	}
	for i := range a.Len() {
		if a.IsNull(i) {
			timeless = append(timeless, int32(i))
		} else {
			timed = append(timed, int32(i))
		}
	}
	return timed, timeless
}

func (k *windowClock) noTime() error {
	return &lateError{fmt.Errorf("column %q is NULL: the row is in no window", k.field.Name)}
}

// lateError is why rows are in no window that is open.
type lateError struct{ error }

// Class is how metrics count it.
func (*lateError) Class() string { return "late" }

// reject gives up some rows of b, as Late says. It takes another share of b's
// origins.
func (c *Window) reject(ctx context.Context, env *Env, b *Rows, rows []int32, err error) error {
	meterOf(ctx).failed(err)
	r := &Rejected{Stage: env.Stage, Frame: b.Value, First: -1, Err: err, Drop: c.Late != "dead_letter", Attempt: 1}
	if len(rows) < b.Rows {
		var e error
		if r.Frame, e = frame.Take(b.Value, rows); e != nil {
			return At(b, e)
		}
	}
	if last := int(rows[len(rows)-1]); b.First >= 0 && last-int(rows[0]) == len(rows)-1 {
		r.First = b.First + int64(rows[0])
	}
	r.Batch = WithFrame(b, r.Frame)
	r.Batch.Origins = share(b.Origins)
	return env.Reject(ctx, r)
}
