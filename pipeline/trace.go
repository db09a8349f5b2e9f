package pipeline

import (
	"context"

	"github.com/rpipe-dev/rpipe/trace"
)

// begin starts the span of a run: that of a tracer of its own, or below the one in ctx,
// as of a schedule that started it.
func begin(ctx context.Context, t *trace.Tracer, f *File) (context.Context, trace.Span) {
	var span trace.Span
	if t == nil {
		ctx, span = trace.Start(ctx, "run")
	} else {
		ctx, span = t.Start(ctx, "run", trace.Internal)
	}
	if span.On() {
		span.Set(trace.String("rpipe.pipeline", f.Name), trace.String("rpipe.run", f.RunID))
	}
	return ctx, span
}

// endSpan ends the span of the run with what its report says.
func (r *Run) endSpan(report *Report, err error) {
	if !r.span.On() {
		return
	}
	r.span.Set(trace.Int64("rpipe.rows_read", report.Read.Rows), trace.Int64("rpipe.rows_written", report.Written()),
		trace.Int64("rpipe.rows_skipped", report.Skipped), trace.Int64("rpipe.rows_dead_letter", report.Rejected),
		trace.Bool("rpipe.drained", report.Drained))
	r.span.End(err)
}
