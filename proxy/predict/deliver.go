package predict

import (
	"errors"

	"github.com/sourcegraph/conc/panics"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// deliver takes the answers to a batch apart and gives each caller what is its own.
func (f *flow) deliver(b *batch, parts []stages.Part) {
	made := make([]piece, len(parts))
	output, attempts := "", 0
	for i, p := range parts {
		made[i] = f.piece(b, p)
		attempts = max(attempts, p.Attempts)
		if p.Reply != nil {
			output += p.Reply.Output
			f.warned(p.Reply.Warnings)
		}
	}
	f.failed(b, made)
	at := 0 // the first part with rows of the call
	for i, c := range b.calls {
		from, to := b.starts[i], b.starts[i]+int(c.rows.NumRows())
		o := outcome{queue: b.cut.Sub(c.since) + b.trace.Queue, run: b.trace.Run, pid: b.trace.Pid, attempts: attempts}
		if i == 0 {
			o.output = output
		}
		for at > 0 && made[at].from > from {
			at--
		}
		for made[at].to <= from {
			at++
		}
		for k := at; k < len(made) && made[k].from < to; k++ {
			o.pieces = append(o.pieces, share(made[k], from, to))
		}
		c.done <- o
	}
}

// piece is what became of a part of a batch.
func (f *flow) piece(b *batch, p stages.Part) piece {
	out := piece{from: p.From, to: p.To, err: p.Err, whole: p.Whole}
	if p.Err == nil {
		// A panic would end the graph, and the endpoint for everybody.
		if panicked := panics.Try(func() { out.frame, out.err = f.fun.results(p.Reply.Data, p.To-p.From, b.schema) }); panicked != nil {
			out.err = panicked.AsError()
		}
		out.whole = out.err != nil && p.To-p.From > 1
	}
	return out
}

// share is what of p belongs to the rows [from, to) of the batch, counted from
// their first.
func share(p piece, from, to int) piece {
	lo, hi := max(p.from, from), min(p.to, to)
	out := piece{from: lo - from, to: hi - from, err: p.err, whole: p.whole, mixed: p.from < from || p.to > to}
	if p.err == nil {
		out.frame = frame.Slice(p.frame, lo-p.from, hi-p.from)
	}
	return out
}

// failed logs what R could not do, once for a batch.
func (f *flow) failed(b *batch, made []piece) {
	rows := 0
	var first error
	for _, p := range made {
		if p.err == nil || errors.Is(p.err, fault.ErrClientGone) {
			continue
		}
		rows += p.to - p.from
		if first == nil {
			first = p.err
		}
	}
	if first == nil {
		return
	}
	var condition *rpool.ConditionError
	if errors.As(first, &condition) {
		f.log.Warn("rows failed in R", "fun", f.fun.name, "failed", rows, "of", b.rows, "error", first, "traceback", condition.Traceback)
		return
	}
	f.log.Warn("rows failed", "fun", f.fun.name, "failed", rows, "of", b.rows, "error", first)
}
