package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// feed turns a reader into the graph's source: it opens an account in the
// ledger for each read, numbers batches and rows, ends epochs by rows, and stops
// at a drain or at the limit.
type feed struct {
	reader   sources.Reader
	ledger   *stages.Ledger
	limit    int64 // rows; 0 is all
	perEpoch int64 // rows; 0 is no limit
	reject   func(ctx context.Context, r *stages.Rejected) error

	rows int64  // read so far, those before a restart too
	seq  uint64 // number of the next batch

	consumed atomic.Int64 // input bytes, as reader.Size counts them
	complete atomic.Bool  // the input or the limit has been read to its end
}

func (f *feed) run(soft, hard context.Context, out chan<- *stages.Rows) error {
	read, err := f.read(soft, hard, out)
	f.complete.Store(read)
	return err
}

// read reports whether the input was read to its end.
func (f *feed) read(soft, hard context.Context, out chan<- *stages.Rows) (ended bool, err error) {
	sent, epochRows := int64(0), int64(0)
	for soft.Err() == nil {
		read, err := f.reader.Next(soft)
		switch {
		case errors.Is(err, io.EOF):
			return true, f.ended(hard, sent, out)
		case err != nil && soft.Err() != nil && hard.Err() == nil:
			return false, nil // drained in the middle of a read: it has not happened
		case err != nil:
			return false, fmt.Errorf("after %d rows: %w", f.rows, err)
		}
		n, err := f.take(soft, hard, read, out)
		if err != nil || n < 0 {
			return false, err
		}
		sent += n
		epochRows += n
		if f.limit > 0 && sent >= f.limit {
			return true, nil
		}
		if f.perEpoch > 0 && epochRows >= f.perEpoch {
			if err := f.ledger.CutWait(soft); err != nil {
				return false, drained(hard, err)
			}
			epochRows = 0
		}
	}
	return false, nil
}

// take sends one read on and returns how many rows it has; -1 where a drain came
// before there was room for it.
func (f *feed) take(soft, hard context.Context, read *sources.Read, out chan<- *stages.Rows) (int64, error) {
	value := read.Frame
	if f.limit > 0 && f.rows+value.NumRows() >= f.limit {
		value = frame.Slice(value, 0, int(f.limit-f.rows))
	}
	size, n := frame.Bytes(value), value.NumRows()
	origin, err := f.ledger.Open(soft, f.mark(read.Pos, n), n, size)
	if err != nil {
		return -1, drained(hard, err)
	}
	b := &stages.Rows{
		Value: value, Rows: int(n), Bytes: size,
		Seq: f.seq, First: f.rows, Epoch: origin.Epoch(), Origins: []*stages.Origin{origin},
	}
	for _, r := range read.Rejected {
		r.Epoch = b.Epoch
		if err := f.reject(hard, r); err != nil {
			return 0, err
		}
	}
	f.seq++
	f.rows += n
	f.consumed.Add(read.Bytes)
	if n == 0 {
		b.Settle(nil)
		return 0, nil
	}
	return n, stages.Send(hard, out, b)
}

// drained is nil where a wait ended because of a drain.
func drained(hard context.Context, err error) error {
	if hard.Err() == nil {
		return nil
	}
	return err
}

// ended tells the later stages at least the schema of an input without rows.
func (f *feed) ended(ctx context.Context, rows int64, out chan<- *stages.Rows) error {
	if rows > 0 || f.reader.Schema() == nil {
		return nil
	}
	return stages.Send(ctx, out, &stages.Rows{Value: frame.Empty(f.reader.Schema()), Epoch: f.ledger.Current().Number})
}

// mark is what the ledger keeps of a read: where the source stands after it, and
// all that a later process or run needs beside.
func (f *feed) mark(pos string, rows int64) string {
	m := mark{Pos: pos, Rows: f.rows + rows, Reads: f.seq + 1}
	if c, ok := f.reader.(sources.Cursor); ok {
		m.Cursor = c.Cursor()
	}
	return m.String()
}

// mark is a place in the input.
type mark struct {
	Rows   int64  // read up to there
	Reads  uint64 // up to there
	Cursor string // for a later run
	Pos    string // for Open
}

func (m mark) String() string {
	return fmt.Sprintf("%d %d %d %s%s", m.Rows, m.Reads, len(m.Cursor), m.Cursor, m.Pos)
}

// parseMark is the inverse of String; the zero mark is the input's beginning.
func parseMark(s string) (m mark, err error) {
	if s == "" {
		return m, nil
	}
	var cursor int
	if _, err := fmt.Sscanf(s, "%d %d %d", &m.Rows, &m.Reads, &cursor); err != nil {
		return m, fmt.Errorf("state: %q is no place in the input: %w", s, err)
	}
	rest := s
	for range 3 {
		_, rest, _ = strings.Cut(rest, " ")
	}
	if cursor > len(rest) {
		return m, fmt.Errorf("state: %q is no place in the input", s)
	}
	m.Cursor, m.Pos = rest[:cursor], rest[cursor:]
	return m, nil
}

// nothingMore is the input of a run that has only to publish what is ready.
type nothingMore struct{}

func (nothingMore) Schema() *frame.Schema { return nil }
func (nothingMore) Size() sources.Size    { return sources.Size{} }
func (nothingMore) Close() error          { return nil }

func (nothingMore) Traits() sources.Traits {
	return sources.Traits{Ordered: true, Replayable: true}
}

func (nothingMore) Next(context.Context) (*sources.Read, error) { return nil, io.EOF }
