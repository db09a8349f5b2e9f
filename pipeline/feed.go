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

	pieces *pieces // nil where a read goes on whole

	rows int64  // read so far, those before a restart too
	seq  uint64 // number of the next batch
	pos  string // of the source after the last read that went on whole
	skip int64  // rows after pos that were taken already

	inEpoch int64 // rows since the last end of an epoch by rows

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
	sent := int64(0)
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
		n, err := f.divide(soft, hard, read, out)
		if err != nil || n < 0 {
			return false, err
		}
		sent += n
		if f.limit > 0 && sent >= f.limit {
			return true, nil
		}
	}
	return false, nil
}

// divide sends one read on, whole or in pieces, and returns how many rows that
// are; -1 where a drain came in between. Rows that an earlier process has taken
// are left out.
func (f *feed) divide(soft, hard context.Context, read *sources.Read, out chan<- *stages.Rows) (sent int64, err error) {
	value := read.Frame
	before := f.skip
	taken := min(before, value.NumRows())
	value = frame.Slice(value, int(taken), int(value.NumRows()))
	if f.limit > 0 && f.rows+value.NumRows() >= f.limit {
		value = frame.Slice(value, 0, int(f.limit-f.rows))
	}
	for f.pieces != nil && value.NumRows() > 0 && soft.Err() == nil {
		n := f.pieces.next(f.ledger)
		if f.perEpoch > 0 {
			n = min(n, f.perEpoch-f.inEpoch)
		}
		if n >= value.NumRows() {
			break
		}
		// What is not rows of this read belongs to its last piece.
		piece := &sources.Read{Frame: frame.Slice(value, 0, int(n))}
		took, err := f.take(soft, hard, piece, f.pos, f.skip+n, out)
		if err != nil || took < 0 {
			return took, err
		}
		f.skip += n
		sent += n
		value = frame.Slice(value, int(n), int(value.NumRows()))
	}
	if sent > 0 && soft.Err() != nil {
		return sent, nil
	}
	read.Frame = value
	left := before - taken // of an input that is read in other portions than before
	n, err := f.take(soft, hard, read, read.Pos, left, out)
	if err != nil || n < 0 {
		return n, err
	}
	f.pos, f.skip = read.Pos, left
	return sent + n, nil
}

// take sends rows on and returns how many they are; -1 where a drain came before
// there was room for them. The source stands skip rows after pos then.
func (f *feed) take(soft, hard context.Context, read *sources.Read, pos string, skip int64, out chan<- *stages.Rows) (int64, error) {
	value := read.Frame
	size, n := frame.Bytes(value), value.NumRows()
	waited := stages.Waits(hard)
	origin, err := f.ledger.Open(soft, f.mark(pos, skip, n), n, size)
	waited()
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
	if err := stages.Send(hard, out, b); err != nil {
		return n, err
	}
	return n, f.endEpoch(soft, hard, n)
}

// endEpoch ends the epoch where it has its rows, once the one before is committed.
func (f *feed) endEpoch(soft, hard context.Context, rows int64) error {
	f.inEpoch += rows
	if f.perEpoch == 0 || f.inEpoch < f.perEpoch {
		return nil
	}
	f.inEpoch = 0
	defer stages.Waits(hard)()
	return drained(hard, f.ledger.CutWait(soft))
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
func (f *feed) mark(pos string, skip, rows int64) string {
	m := mark{Pos: pos, Skip: skip, Rows: f.rows + rows, Reads: f.seq + 1}
	if c, ok := f.reader.(sources.Cursor); ok {
		m.Cursor = c.Cursor()
	}
	return m.String()
}

// mark is a place in the input.
type mark struct {
	Rows   int64  // read up to there
	Reads  uint64 // up to there
	Skip   int64  // rows behind Pos that belong to it
	Cursor string // for a later run
	Pos    string // for Open
}

func (m mark) String() string {
	return fmt.Sprintf("%d %d %d %d %s%s", m.Rows, m.Reads, m.Skip, len(m.Cursor), m.Cursor, m.Pos)
}

// parseMark is the inverse of String; the zero mark is the input's beginning.
func parseMark(s string) (m mark, err error) {
	if s == "" {
		return m, nil
	}
	var cursor int
	if _, err := fmt.Sscanf(s, "%d %d %d %d", &m.Rows, &m.Reads, &m.Skip, &cursor); err != nil {
		return m, fmt.Errorf("state: %q is no place in the input: %w", s, err)
	}
	rest := s
	for range 4 {
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
