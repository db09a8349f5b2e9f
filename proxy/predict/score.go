package predict

import (
	"context"
	"errors"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// scorer makes results of rows. Its methods may be called by several goroutines.
type scorer interface {
	// score makes the results of rows, and notes in x how. The error is why there
	// is nothing to say of any row.
	score(ctx context.Context, x *exchange.Exchange, rows frame.Frame) (*results, error)
	// columns are those of the results; nil where nobody knows before.
	columns() *frame.Schema
	drain(ctx context.Context) error
}

// results are what became of rows.
type results struct {
	frame  frame.Frame // nil where there are none
	place  []int32     // which row each is the result of, in order
	errors []*RowError // of the other rows, in order; Index is that of the row
}

// scorer of a function.
type predictions struct {
	flow     *flow
	policy   policy
	messages bool
}

func (p *predictions) columns() *frame.Schema          { return p.flow.fun.returns }
func (p *predictions) drain(ctx context.Context) error { return p.flow.drain(ctx) }

func (p *predictions) score(ctx context.Context, x *exchange.Exchange, rows frame.Frame) (*results, error) {
	chunks := p.policy.split(rows)
	outcomes := make([]outcome, len(chunks))
	errs := make([]error, len(chunks))
	do := func(i int) { outcomes[i], errs[i] = p.retried(ctx, chunks[i]) }
	if len(chunks) == 1 {
		do(0)
	} else {
		var wg conc.WaitGroup
		for i := range chunks {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
	}
	for i, o := range outcomes {
		if errs[i] != nil {
			return nil, errs[i]
		}
		x.Queue, x.R = max(x.Queue, o.queue), x.R+o.run
		x.Worker, x.Attempts = o.pid, max(x.Attempts, o.attempts)
		x.Output += o.output
	}
	return p.gather(chunks, outcomes)
}

// split cuts rows that are too many for one batch.
func (p *policy) split(rows frame.Frame) []frame.Frame {
	n := int(rows.NumRows())
	most := p.rows
	if size := frame.Bytes(rows); size > p.bytes {
		most = min(most, max(1, int(p.bytes*int64(n)/size)))
	}
	if n <= most {
		return []frame.Frame{rows}
	}
	var out []frame.Frame
	for at := 0; at < n; at += most {
		out = append(out, frame.Slice(rows, at, min(n, at+most)))
	}
	return out
}

// retried asks for the results of rows, and once more for those that failed
// together with another request's: this time alone.
func (p *predictions) retried(ctx context.Context, rows frame.Frame) (outcome, error) {
	o, err := p.flow.do(newCall(ctx, rows, false))
	if err != nil {
		return o, err
	}
	pieces := o.pieces
	o.pieces = nil
	for _, c := range pieces {
		if c.err == nil || !c.mixed || !mayFareBetter(c.err) {
			o.pieces = append(o.pieces, c)
			continue
		}
		again, err := p.flow.do(newCall(ctx, frame.Slice(rows, c.from, c.to), true))
		if err != nil {
			return o, err
		}
		for _, a := range again.pieces {
			a.from, a.to = a.from+c.from, a.to+c.from
			o.pieces = append(o.pieces, a)
		}
		o.queue, o.run = o.queue+again.queue, o.run+again.run
		o.pid, o.attempts = again.pid, o.attempts+again.attempts
	}
	return o, nil
}

// mayFareBetter reports whether rows may have failed for the sake of others.
func mayFareBetter(err error) bool {
	var condition *rpool.ConditionError
	var died *rpool.DiedError
	var size *rpool.FrameSizeError
	var value *stages.ValueError
	var result *resultError
	return errors.As(err, &condition) || errors.As(err, &died) || errors.As(err, &size) ||
		errors.As(err, &value) || errors.As(err, &result)
}

// gather puts the pieces of a request together again.
func (p *predictions) gather(chunks []frame.Frame, outcomes []outcome) (*results, error) {
	r := &results{}
	var frames []frame.Frame
	first := 0
	for i, o := range outcomes {
		for _, c := range o.pieces {
			for k := c.from; k < c.to; k++ {
				if c.err == nil {
					r.place = append(r.place, int32(first+k))
					continue
				}
				e := explain(first+k, c.err, p.messages)
				e.Whole = c.whole && c.to-c.from > 1
				r.errors = append(r.errors, e)
			}
			if c.err == nil {
				frames = append(frames, c.frame)
			}
		}
		first += int(chunks[i].NumRows())
	}
	if len(frames) == 0 {
		return r, nil
	}
	f, err := agreed(frames)
	if err != nil {
		return nil, &resultError{p.flow.fun.name, err}
	}
	r.frame = f
	return r, nil
}
