package sinks

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Stdout prints rows. Nothing can be taken back that was printed, so it takes no
// part in the commit: rows appear as they come, and a run that fails has
// printed some of them.
type Stdout struct {
	Format    string `yaml:"format" default:"table" enum:"table|csv|ndjson" doc:"csv and ndjson print every row as it comes; table prints the first rows, aligned, and how many there were."`
	Rows      int64  `yaml:"rows" default:"20" min:"1" doc:"Rows that a table shows."`
	Header    bool   `yaml:"header" default:"true" doc:"Whether csv begins with the column names."`
	Delimiter string `yaml:"delimiter" default:"," doc:"One character between the fields of csv; \\t for a tab."`

	to io.Writer // in tests; nil is the process's standard output
}

// Open implements Sink.
func (s *Stdout) Open(ctx context.Context, _ *stages.Env) (Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	to := s.to
	if to == nil {
		to = os.Stdout
	}
	w := &stdoutWriter{buf: bufio.NewWriterSize(to, textBuffer)}
	switch s.Format {
	case "csv":
		c := CSV{Header: s.Header, Delimiter: s.Delimiter}
		w.format = c.format()
	case "ndjson":
		w.format = &ndjsonFormat{}
	default:
		w.table = &table{limit: s.Rows}
		if w.table.limit == 0 {
			w.table.limit = 20
		}
	}
	return w, nil
}

// Check implements configs.Checker.
func (s *Stdout) Check(report func(field, message, hint string)) {
	c := CSV{Path: "-", Delimiter: s.Delimiter}
	c.Check(func(field, message, hint string) {
		if field == "delimiter" {
			report(field, message, hint)
		}
	})
}

var _ configs.Checker = (*Stdout)(nil)

// stdoutWriter implements Writer. Prepare and Publish have nothing to do.
type stdoutWriter struct {
	buf    *bufio.Writer
	format format // nil for a table
	enc    encoder
	schema *frame.Schema
	table  *table
}

func (w *stdoutWriter) Write(ctx context.Context, b *stages.Rows) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	f := b.Value
	if w.table != nil {
		w.table.add(f)
		return nil
	}
	if w.enc == nil {
		var err error
		if w.enc, err = w.format.open(w.buf, f.Schema(), nil); err != nil {
			return stdoutError(err)
		}
		w.schema = f.Schema()
	}
	if !sameColumns(f.Schema(), w.schema) {
		var err error
		if f, err = frame.Conform(f, w.schema); err != nil {
			return stdoutError(err)
		}
	}
	if err := w.enc.encode([]frame.Frame{f}); err != nil {
		return stdoutError(err)
	}
	return w.flush()
}

// flush shows what was written: somebody may be watching.
func (w *stdoutWriter) flush() error {
	if w.enc != nil {
		if t, ok := w.enc.(interface{ flushOver(int) error }); ok {
			if err := t.flushOver(0); err != nil {
				return stdoutError(err)
			}
		}
	}
	return stdoutError(w.buf.Flush())
}

func (w *stdoutWriter) Prepare(context.Context, uint64) ([]Part, error) { return nil, nil }

func (w *stdoutWriter) Publish(context.Context, []Part) error { return nil }

func (w *stdoutWriter) Finish(context.Context, bool) error {
	if w.table != nil {
		if err := w.table.print(w.buf); err != nil {
			return stdoutError(err)
		}
		w.table = &table{}
	}
	return w.flush()
}

func (w *stdoutWriter) Abort() error { return nil }

func stdoutError(err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return &Error{Op: "print to", Path: "standard output", Err: err, Hint: hint(err)}
}
