package node

import (
	"context"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/trace"
)

// maxTraced is how many tasks of one job have spans: an array of a million would be a
// trace that nothing can show.
const maxTraced = 1000

// begin starts the span of an attempt, below that of whoever submitted the job, and
// beside it that of its wait in the queue.
func (n *Node) begin(ctx context.Context, h *held) context.Context {
	j := h.job
	ctx = trace.Remote(ctx, j.Trace, j.TraceState)
	if n.o.Tracer == nil || h.task.N > maxTraced {
		return ctx
	}
	t := &h.task
	id, attempt := trace.String("rpipe.task", h.id), trace.Int("rpipe.attempt", t.Attempt)
	_, queue := n.o.Tracer.StartAt(ctx, "queue", trace.Internal, since(t))
	if queue.On() {
		queue.Set(id, attempt, trace.String("rpipe.queue", t.Queue))
		queue.EndAt(h.since)
	}
	ctx, h.span = n.o.Tracer.StartAt(ctx, "task", trace.Consumer, h.since)
	if h.span.On() {
		h.span.Set(id, attempt, trace.String("rpipe.job", t.Job), trace.String("rpipe.queue", t.Queue), trace.String("rpipe.owner", t.Owner),
			trace.String("rpipe.worker", n.o.ID), trace.String("rpipe.environment", h.env))
	}
	return ctx
}

// since is when a task began to wait for this attempt.
func since(t *tasks.Task) time.Time {
	at := t.Submitted
	if t.NotBefore.After(at) {
		at = t.NotBefore
	}
	if k := len(t.Past); k > 0 && t.Past[k-1].Ended.After(at) {
		at = t.Past[k-1].Ended
	}
	return at
}

// judge notes on the span what became of the attempt; nil is that it is not ours any more.
func (h *held) judge(out *tasks.Outcome, why error) {
	h.done = time.Now()
	switch {
	case !h.span.On():
	case out == nil:
		text := "taken from this worker"
		if why != nil {
			text = why.Error()
		}
		h.span.Set(trace.String("rpipe.cause", "dropped"))
		h.span.Event("dropped", trace.String("reason", text))
	default:
		h.span.Set(trace.String("rpipe.cause", out.Cause), trace.Int("rpipe.r.pid", out.Pid), trace.Int64("rpipe.result.bytes", out.Result.Size))
		if f := out.Failure; f != nil {
			class := f.Cause
			if len(f.Classes) > 0 {
				class = f.Classes[0]
			}
			h.span.Fail(class, f.Message, strings.Join(f.Traceback, "\n"))
		}
	}
}

// endSpan ends the span when the end of the attempt is in its record.
func (h *held) endSpan() {
	if !h.span.On() {
		return
	}
	h.span.Part("record", h.done, time.Now())
	h.span.End(nil)
	h.span = trace.Span{}
}
