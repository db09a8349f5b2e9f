package stages

import (
	"context"

	"github.com/rpipe-dev/rpipe/trace"
)

// maxSpans is how many batches of a stage have spans: what has no end would be a trace
// that nothing can show.
const maxSpans = 1000

// startBatch begins the span of a batch in a stage.
func startBatch[T any](ctx context.Context, what string, b *Batch[T]) (context.Context, trace.Span) {
	if !trace.Of(ctx).On() {
		return ctx, trace.Span{}
	}
	if v := meterOf(ctx); !v.work || v.meter == nil || v.meter.spans.Add(1) > maxSpans {
		return ctx, trace.Span{}
	}
	ctx, span := trace.Start(ctx, what)
	span.Set(trace.Int64("rpipe.batch", int64(b.Seq)+1), trace.Int("rpipe.rows", b.Rows), trace.Int64("rpipe.first_row", b.First+1),
		trace.Int64("rpipe.epoch", int64(b.Epoch)))
	return ctx, span
}

// Writing begins the span of a batch that a sink writes. The caller ends it.
func Writing[T any](ctx context.Context, b *Batch[T]) (context.Context, trace.Span) {
	return startBatch(ctx, "write", b)
}

// endStage notes on the span of a part what has passed through it.
func endStage(span trace.Span, m *Meter, err error) {
	if span.On() {
		r := m.Read()
		span.Set(trace.Int64("rpipe.rows_in", r.RowsIn), trace.Int64("rpipe.rows_out", r.RowsOut), trace.Int64("rpipe.batches_in", r.BatchesIn),
			trace.Int64("rpipe.batches_out", r.BatchesOut), trace.Float("rpipe.busy_seconds", r.Busy.Seconds()))
	}
	span.End(err)
}
