package predict

import (
	"context"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// batch is the calls whose rows R gets at once.
type batch struct {
	calls  []*call
	starts []int // where the rows of each begin
	rows   int
	bytes  int64
	schema *frame.Schema
	cut    time.Time
	trace  rpool.Trace
	whole  func() (frame.Frame, error) // all rows in one frame, made once

	// ctx ends when nobody waits for any of the calls any more.
	ctx    context.Context
	cancel context.CancelCauseFunc
	stops  []func() bool
}

type work = stages.Work[*batch]

// fits reports whether c can join, and the schema that both have then.
func (b *batch) fits(c *call, p *policy) (*frame.Schema, bool) {
	s := c.rows.Schema()
	if len(b.calls) == 0 {
		return s, true
	}
	if c.alone || b.calls[0].alone ||
		p.requests > 0 && len(b.calls) >= p.requests ||
		b.rows+int(c.rows.NumRows()) > p.rows || b.bytes+c.bytes > p.bytes {
		return nil, false
	}
	if s == b.schema {
		return s, true
	}
	u, err := frame.Unify(b.schema, s)
	return u, err == nil
}

func (b *batch) add(c *call, s *frame.Schema) {
	b.calls, b.starts, b.schema = append(b.calls, c), append(b.starts, b.rows), s
	b.rows += int(c.rows.NumRows())
	b.bytes += c.bytes
}

// seal makes the batch's rows and context final.
func (b *batch) seal() {
	b.cut = time.Now()
	b.whole = sync.OnceValues(b.join)
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	var mu sync.Mutex
	left := len(b.calls)
	for _, c := range b.calls {
		b.stops = append(b.stops, context.AfterFunc(c.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				b.cancel(fault.ErrClientGone)
			}
		}))
	}
}

// release lets go of the callers' contexts.
func (b *batch) release() {
	for _, stop := range b.stops {
		stop()
	}
	b.cancel(nil)
}

func (b *batch) join() (frame.Frame, error) {
	if len(b.calls) == 1 {
		return b.calls[0].rows, nil
	}
	frames := make([]frame.Frame, len(b.calls))
	for i, c := range b.calls {
		frames[i] = c.rows
		if c.rows.Schema() == b.schema {
			continue
		}
		var err error
		if frames[i], err = frame.Conform(c.rows, b.schema); err != nil {
			return nil, err
		}
	}
	return frame.Concat(frames...)
}

// slice is the rows [from, to).
func (b *batch) slice(from, to int) (frame.Frame, error) {
	f, err := b.whole()
	if err != nil {
		return nil, err
	}
	return frame.Slice(f, from, to), nil
}
