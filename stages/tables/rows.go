package tables

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// batch joins a batch whose rows match one row of the table at most.
func (j *stream) batch(_ context.Context, b *stages.Rows) (*stages.Rows, error) {
	r, err := j.prepare(b)
	if err != nil {
		return nil, err
	}
	rows := r.index.look(r.keysOf(b.Value), b.Rows)
	f, err := j.combine(r, b.Value, rows)
	if err != nil {
		return nil, stages.At(b, err)
	}
	return j.result(b, f), nil
}

func (r *ready) keysOf(f frame.Frame) []arrow.Array {
	keys := make([]arrow.Array, len(r.plan.keys))
	for i, k := range r.plan.keys {
		keys[i] = f.Column(k)
	}
	return keys
}

// combine is the output for the rows of f and the rows of the table that match.
func (j *joiner) combine(r *ready, f frame.Frame, rows []int32) (frame.Frame, error) {
	switch j.config.How {
	case "left":
		return j.beside(r, f, rows)
	case "anti":
		return keep(f, rows, false)
	case "semi":
		return keep(f, rows, true)
	}
	left, err := keep(f, rows, true)
	if err != nil {
		return nil, err
	}
	if left.NumRows() < f.NumRows() {
		matched := make([]int32, 0, left.NumRows())
		for _, row := range rows {
			if row != frame.NoRow {
				matched = append(matched, row)
			}
		}
		rows = matched
	}
	return j.beside(r, left, rows)
}

// keep is the rows of f that match, or those that do not.
func keep(f frame.Frame, rows []int32, matched bool) (frame.Frame, error) {
	kept := make([]int32, 0, len(rows))
	for i, row := range rows {
		if (row != frame.NoRow) == matched {
			kept = append(kept, int32(i))
		}
	}
	if len(kept) == len(rows) {
		return f, nil
	}
	return frame.Take(f, kept)
}

// beside puts rows of the table beside those of f.
func (j *joiner) beside(r *ready, f frame.Frame, rows []int32) (frame.Frame, error) {
	right, err := frame.TakeOrNull(j.columns, rows)
	if err != nil {
		return nil, err
	}
	columns := append(append([]arrow.Array(nil), f.Columns()...), right.Columns()...)
	return frame.New(r.plan.out, columns, len(rows)), nil
}

// result is the batch of f, or nil where nothing is left of b.
func (j *stream) result(b *stages.Rows, f frame.Frame) *stages.Rows {
	if f.NumRows() == 0 && b.Rows > 0 {
		j.empty.CompareAndSwap(nil, &stages.Rows{Value: f, Seq: b.Seq, First: b.First, Epoch: b.Epoch})
		b.Settle(nil)
		return nil
	}
	j.sent.Store(true)
	return stages.WithFrame(b, f)
}
