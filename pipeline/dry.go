package pipeline

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// sampleRows is how many rows a dry run shows of each sink.
const sampleRows = 10

// dryWriter takes the rows of a dry run, keeps the first, and writes nothing.
type dryWriter struct{ sample frame.Frame }

var _ sinks.Writer = (*dryWriter)(nil)

// Write implements sinks.Writer.
func (w *dryWriter) Write(_ context.Context, b *stages.Rows) error {
	have := int64(0)
	if w.sample != nil {
		have = w.sample.NumRows()
	}
	if have >= sampleRows || b.Rows == 0 && w.sample != nil {
		return nil
	}
	more := frame.Slice(b.Value, 0, int(min(b.Value.NumRows(), sampleRows-have)))
	if w.sample == nil {
		w.sample = more
		return nil
	}
	var err error
	w.sample, err = frame.Concat(w.sample, more)
	return err
}

// Prepare implements sinks.Writer.
func (*dryWriter) Prepare(context.Context, uint64) ([]sinks.Part, error) { return nil, nil }

// Publish implements sinks.Writer.
func (*dryWriter) Publish(context.Context, []sinks.Part) error { return nil }

// Finish implements sinks.Writer.
func (*dryWriter) Finish(context.Context, bool) error { return nil }

// Abort implements sinks.Writer.
func (*dryWriter) Abort() error { return nil }
