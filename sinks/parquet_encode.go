package sinks

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// parquetEncoder writes one Parquet file, a row group for each call of encode.
// The columns of a row group are encoded and compressed by several goroutines,
// each column by one. Two row groups at once cost the same CPU time (measured)
// and twice the memory, and would leave goroutines running between calls.
type parquetEncoder struct {
	w        *parquet.GenericWriter[any]
	schema   *frame.Schema
	levels   []*levelSet // nil for columns that are no factors
	parallel int
	pace     func() *stages.Pace
	out      *countWriter
}

// valuesAtOnce is how many rows of a column become Parquet values at a time. It
// is also how often the writer looks whether a page is full.
const valuesAtOnce = 1024

// dictionaryLimit is the size of a column's dictionary in one row group beyond
// which its later pages are written plainly.
const dictionaryLimit = 1 << 20

func newParquetEncoder(w io.Writer, s *frame.Schema, first []frame.Frame, fm *parquetFormat) (*parquetEncoder, error) {
	schema, err := parquetSchema(s, plainColumns(s, first))
	if err != nil {
		return nil, err
	}
	e := &parquetEncoder{
		schema: s, parallel: fm.parallel, pace: fm.pace,
		levels: make([]*levelSet, s.NumFields()), out: &countWriter{w: w},
	}
	for i, f := range s.Fields() {
		if frame.KindOf(f) == frame.KindFactor {
			e.levels[i] = newLevelSet(f)
		}
	}
	e.w = parquet.NewGenericWriter[any](e.out, schema,
		parquet.Compression(fm.codec),
		parquet.DictionaryMaxBytes(dictionaryLimit),
		parquet.DataPageVersion(1), // what every reader knows; version 2 gained nothing here
		parquet.CreatedBy("rpipe", "1", "parquet-go"),
	)
	return e, nil
}

func (e *parquetEncoder) encode(frames []frame.Frame) error {
	for i, l := range e.levels {
		if l == nil {
			continue
		}
		for _, f := range frames {
			l.add(f.Column(i).(*array.Dictionary).Dictionary())
		}
	}
	columns := e.w.ColumnWriters()
	var next atomic.Int32
	var g errgroup.Group
	for range min(e.parallel, len(columns)) {
		g.Go(func() error {
			values := make([]parquet.Value, 0, valuesAtOnce)
			pace := e.pace()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(columns) {
					return nil
				}
				if err := writeColumn(columns[i], frames, i, values, pace); err != nil {
					return fmt.Errorf("column %q: %w", e.schema.Field(i).Name, err)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return e.w.Flush()
}

// writeColumn writes one column of a row group. A list column has one leaf, so
// columns and leaves have the same numbers.
func writeColumn(w *parquet.ColumnWriter, frames []frame.Frame, column int, values []parquet.Value, pace *stages.Pace) error {
	for _, f := range frames {
		a := f.Column(column)
		for i := 0; i < a.Len(); i += valuesAtOnce {
			values = valuesOf(values[:0], a, i, min(i+valuesAtOnce, a.Len()))
			if _, err := w.WriteRowValues(values); err != nil {
				return err
			}
			pace.Step()
		}
	}
	return w.Flush() // compress the last page here rather than one column after the other
}

func (e *parquetEncoder) size() int64 { return e.out.n }

func (e *parquetEncoder) close() error {
	meta, err := parquetMetadata(e.schema, e.levels)
	if err != nil {
		return err
	}
	e.w.SetKeyValueMetadata(MetadataKey, meta)
	arrow, err := arrowSchema(e.schema)
	if err != nil {
		return err
	}
	e.w.SetKeyValueMetadata(arrowKey, arrow)
	return e.w.Close()
}

// plainColumns finds the string columns that a dictionary does not pay for: of
// the first row group's first rows nearly each has a value of its own. The
// dictionary would be given up anyhow, after its hashing was paid.
func plainColumns(s *frame.Schema, first []frame.Frame) map[string]bool {
	const sample = 4096
	plain := map[string]bool{}
	if len(first) == 0 {
		return plain
	}
	for i, f := range s.Fields() {
		if frame.KindOf(f) != frame.KindString {
			continue
		}
		seen, n := map[string]struct{}{}, 0
		for _, part := range first {
			a := part.Column(i).(*array.String)
			for k := 0; k < a.Len() && n < sample; k++ {
				if a.IsValid(k) {
					seen[a.Value(k)] = struct{}{}
					n++
				}
			}
		}
		plain[f.Name] = n >= 1000 && len(seen) > n*3/4
	}
	return plain
}

// countWriter counts what the encoder has written.
type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
