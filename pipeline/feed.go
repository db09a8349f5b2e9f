package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// feed turns a reader into the graph's source: it opens an account in the
// ledger for each read, numbers batches and rows, and stops at a drain or at
// the limit.
type feed struct {
	reader   sources.Reader
	ledger   *stages.Ledger
	limit    int64        // rows; 0 is all
	consumed atomic.Int64 // input bytes, as reader.Size counts them
	complete atomic.Bool  // the input or the limit has been read to its end
}

func (f *feed) run(soft, hard context.Context, out chan<- *stages.Rows) error {
	var rows int64
	var seq uint64
	for soft.Err() == nil {
		read, err := f.reader.Next(soft)
		switch {
		case errors.Is(err, io.EOF):
			f.complete.Store(true)
			return f.ended(hard, rows, out)
		case err != nil && soft.Err() != nil && hard.Err() == nil:
			return nil // drained in the middle of a read: it has not happened
		case err != nil:
			return fmt.Errorf("after %d rows: %w", rows, err)
		}
		value := read.Frame
		if f.limit > 0 && rows+value.NumRows() >= f.limit {
			value = frame.Slice(value, 0, int(f.limit-rows))
		}
		size := frame.Bytes(value)
		origin, err := f.ledger.Open(soft, read.Pos, 0, size)
		if err != nil {
			if hard.Err() == nil {
				return nil // drained while waiting for memory
			}
			return err
		}
		b := &stages.Rows{
			Value: value, Rows: int(value.NumRows()), Bytes: size,
			Seq: seq, First: rows, Origins: []*stages.Origin{origin},
		}
		seq++
		rows += value.NumRows()
		f.consumed.Add(read.Bytes)
		if err := stages.Send(hard, out, b); err != nil {
			return err
		}
		if f.limit > 0 && rows >= f.limit {
			f.complete.Store(true)
			return nil
		}
	}
	return nil
}

// ended tells the later stages at least the schema of an input without rows.
func (f *feed) ended(ctx context.Context, rows int64, out chan<- *stages.Rows) error {
	if rows > 0 || f.reader.Schema() == nil {
		return nil
	}
	return stages.Send(ctx, out, &stages.Rows{Value: frame.Empty(f.reader.Schema())})
}
