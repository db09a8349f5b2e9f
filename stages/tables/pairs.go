package tables

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// pairs is a batch and what of the table matches it, row by row: more rows,
// perhaps many more, than went in.
type pairs struct {
	*ready
	frame frame.Frame
	ours  []int32
	table []int32
}

// pair finds all rows of the table for each row of a batch.
func (j *stream) pair(_ context.Context, b *stages.Rows) (*stages.Batch[*pairs], error) {
	r, err := j.prepare(b)
	if err != nil {
		return nil, err
	}
	p := &pairs{ready: r, frame: b.Value}
	inner := j.config.How == "inner"
	for i, row := range r.index.look(r.keysOf(b.Value), b.Rows) {
		if row == frame.NoRow {
			if !inner {
				p.ours, p.table = append(p.ours, int32(i)), append(p.table, row)
			}
			continue
		}
		for row != frame.NoRow {
			p.ours, p.table = append(p.ours, int32(i)), append(p.table, row)
			if r.index.next == nil {
				break
			}
			row = r.index.next[row]
		}
	}
	return stages.Carry(b, p, len(p.ours), b.Bytes), nil
}

// cut sends what pair found in batches of at most frame.Rows rows, gathered one
// at a time, and numbers them anew: a batch may become several.
func (j *stream) cut(ctx context.Context, in <-chan *stages.Batch[*pairs], out chan<- *stages.Rows) error {
	var number uint64
	if _, err := j.env.Recall(&number); err != nil {
		return err
	}
	for {
		b, ok, err := stages.Receive(ctx, in)
		if !ok || err != nil {
			return err
		}
		for from := 0; b != nil; {
			piece, err := j.piece(b, from)
			if err != nil {
				return stages.At(b, err)
			}
			if from += frame.Rows; from >= len(b.Value.ours) {
				b = nil // the last piece took over its shares
			}
			if piece == nil {
				continue
			}
			piece.Seq = number
			number++
			if err := j.env.Keep(piece.Epoch, number); err != nil {
				return err
			}
			if err := stages.Send(ctx, out, piece); err != nil {
				return err
			}
		}
	}
}

// piece is the rows of b's result from one on; nil where it has none.
func (j *stream) piece(b *stages.Batch[*pairs], from int) (*stages.Rows, error) {
	p := b.Value
	to := min(from+frame.Rows, len(p.ours))
	left, err := frame.Take(p.frame, p.ours[from:to])
	if err != nil {
		return nil, err
	}
	f, err := j.beside(p.ready, left, p.table[from:to])
	if err != nil {
		return nil, err
	}
	if to < len(p.ours) {
		j.sent.Store(true)
		return stages.CarryPart(b, f, to-from, frame.Bytes(f)), nil
	}
	return j.result(stages.Carry(b, p.frame, int(p.frame.NumRows()), b.Bytes), f), nil
}
