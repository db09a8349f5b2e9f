package sources

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// parquetReader reads row groups in parallel, each into its own lane.
type parquetReader struct {
	env     *stages.Env
	files   []file
	at      position
	columns []string
	schema  *frame.Schema
	size    Size
	ahead   *ahead[*Read]
}

// openFile opens a file and checks its schema against that of those before it.
func (r *parquetReader) openFile(f file) (*parquetFile, error) {
	p, err := openParquet(f, r.columns)
	if err != nil {
		return nil, err
	}
	if r.schema == nil {
		r.schema = p.schema
		return p, nil
	}
	if err := r.agrees(p); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (r *parquetReader) agrees(p *parquetFile) error {
	if p.schema.Equal(r.schema) {
		return nil
	}
	if _, err := frame.Conform(frame.Empty(p.schema), r.schema); err != nil {
		return fmt.Errorf("%s does not have the columns of %s: %w", p.name, r.files[0].name, err)
	}
	return nil
}

func (r *parquetReader) produce(ctx context.Context, start func(int, job[*Read]) bool) error {
	at := r.at
	for i := at.File; i < len(r.files); i++ {
		rows := int64(0)
		if i == r.at.File {
			rows = r.at.Rows
		}
		p, err := r.openFile(r.files[i])
		if err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
		done := newCountdown(p.Close)
		err = r.readFile(ctx, p, position{File: i, Path: p.name, Rows: rows, Total: at.Total}, done, start)
		at.Total += p.NumRows() - rows
		done.release()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// readFile starts a job for each row group from at on.
func (r *parquetReader) readFile(ctx context.Context, p *parquetFile, at position, done *countdown, start func(int, job[*Read]) bool) error {
	if at.Rows > p.NumRows() {
		return fmt.Errorf("parquet: resume: %s has %d rows now, fewer than the %d that were read", p.name, p.NumRows(), at.Rows)
	}
	before := int64(0) // rows of the file in row groups before this one
	for _, g := range p.RowGroups() {
		skip := max(at.Rows-before, 0)
		before += g.NumRows()
		if skip >= g.NumRows() {
			continue
		}
		group, from := g, position{File: at.File, Path: at.Path, Rows: before - g.NumRows() + skip}
		from.Total = at.Total + from.Rows - at.Rows
		done.add()
		if !start(r.depth(p, group), func(ctx context.Context, emit func(*Read) bool) error {
			defer done.release()
			if err := r.readGroup(p, group, skip, from, emit); err != nil {
				return fmt.Errorf("parquet: %s: %w", p.name, err)
			}
			return nil
		}) {
			done.release()
			return nil
		}
	}
	return nil
}

// depth is how many frames of a row group may wait to be read: a whole row
// group of a usual size, so that the next one is decoded meanwhile.
func (r *parquetReader) depth(p *parquetFile, g parquet.RowGroup) int {
	const laneBytes = 32 << 20
	frames := (g.NumRows() + frame.Rows - 1) / frame.Rows
	bytes := int64(0)
	for _, l := range p.leaves {
		if c, ok := g.ColumnChunks()[l.column].(*parquet.FileColumnChunk); ok {
			bytes += c.NumValues() * 12
		}
	}
	return int(min(frames, max(2, laneBytes*frames/max(bytes, 1))))
}

// readGroup emits the frames of one row group after its first skip rows.
func (r *parquetReader) readGroup(p *parquetFile, g parquet.RowGroup, skip int64, at position, emit func(*Read) bool) error {
	columns := make([]*columnReader, len(p.leaves))
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.close()
			}
		}
	}()
	for i, l := range p.leaves {
		c, err := newColumnReader(l, g.ColumnChunks()[l.column], skip)
		if err != nil {
			return fmt.Errorf("column %q: %w", l.field.Name, err)
		}
		columns[i] = c
	}
	size := p.Size()
	for left := g.NumRows() - skip; left > 0; {
		n := int(min(left, frame.Rows))
		arrays := make([]arrow.Array, len(columns))
		for i, c := range columns {
			a, err := c.read(n)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = fmt.Errorf("the file is damaged: fewer values than rows")
			}
			if err != nil {
				return fmt.Errorf("column %q, rows %d to %d: %w", c.field.Name, at.Rows+1, at.Rows+int64(n), err)
			}
			arrays[i] = a
		}
		f, err := r.conform(p, array.NewRecordBatch(p.schema, arrays, int64(n)))
		if err != nil {
			return err
		}
		bytes := size * at.Rows / p.NumRows()
		at.Rows += int64(n)
		at.Total += int64(n)
		left -= int64(n)
		if !emit(&Read{Frame: f, Bytes: size*at.Rows/p.NumRows() - bytes, Pos: at.String()}) {
			return nil
		}
	}
	return nil
}

func (r *parquetReader) conform(p *parquetFile, f frame.Frame) (frame.Frame, error) {
	if p.schema.Equal(r.schema) {
		return f, nil
	}
	return frame.Conform(f, r.schema)
}

func (r *parquetReader) Schema() *frame.Schema { return r.schema }
func (r *parquetReader) Size() Size            { return r.size }
func (r *parquetReader) Traits() Traits        { return Traits{Ordered: true, Replayable: true} }

func (r *parquetReader) Next(ctx context.Context) (*Read, error) { return r.ahead.next(ctx) }

func (r *parquetReader) Close() error {
	r.ahead.close()
	return nil
}
