package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"
	"github.com/sourcegraph/conc/panics"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// parquetReader reads row groups in parallel, each into its own lane.
type parquetReader struct {
	env *stages.Env
	*found
	asked   []string      // columns of the config
	columns []string      // those that the files hold; nil is all
	schema  *frame.Schema // of the files
	added   *partitions
	rows    int64 // of all files; 0 is not known
	ahead   *ahead[*Read]
}

// wanted are the columns to read of the next file; nil is all.
func (r *parquetReader) wanted() []string {
	if r.columns != nil || r.schema == nil {
		return r.columns
	}
	return names(r.schema)
}

// pick picks the columns of a file. The first file tells which of them are read
// from files at all.
func (r *parquetReader) pick(p *parquetFile) (err error) {
	if r.schema == nil {
		r.dirs = r.dirs.without(p.names())
		if r.columns, err = r.dirs.choose(r.asked, p.names(), p.name); err != nil {
			return err
		}
	}
	return p.pick(r.wanted())
}

// fit picks the columns of a file, which must be those of the schema, or closes it.
func (r *parquetReader) fit(p *parquetFile) error {
	err := r.pick(p)
	if err == nil {
		if err = r.agrees(p); err != nil {
			err = fmt.Errorf("%s does not have the columns of %s: %w", p.name, r.files[0].name, err)
		}
	}
	if err != nil {
		p.Close()
	}
	return err
}

// agrees gives the file's columns the fields of the schema where the type is
// the same; what else there is must conform.
func (r *parquetReader) agrees(p *parquetFile) error {
	if err := r.nothingNew(p); err != nil {
		return err
	}
	fields := p.schema.Fields()
	for i, want := range r.schema.Fields() {
		if arrow.TypeEqual(fields[i].Type, want.Type) {
			fields[i], p.leaves[i].field = want, want
		}
	}
	p.schema = arrow.NewSchema(fields, nil)
	if p.schema.Equal(r.schema) {
		return nil
	}
	_, err := frame.Conform(frame.Empty(p.schema), r.schema)
	return err
}

// nothingNew refuses columns that the files before do not have, where all are asked for.
func (r *parquetReader) nothingNew(p *parquetFile) error {
	if r.columns != nil {
		return nil
	}
	for _, name := range p.names() {
		if !r.schema.HasField(name) {
			return fmt.Errorf("column %q is new; name the columns to read with columns", name)
		}
	}
	return nil
}

// unify widens the schema by one more file's, and joins the levels of factors.
func unify(a, b *frame.Schema) (*frame.Schema, error) {
	u, err := frame.Unify(a, b)
	if err != nil {
		return nil, err
	}
	fields := u.Fields()
	for i, f := range fields {
		if frame.KindOf(f) != frame.KindFactor {
			continue
		}
		t := newLevelTable(a.Field(i))
		for _, name := range newLevelTable(b.Field(i)).names {
			t.code([]byte(name))
		}
		levels, err := json.Marshal(t.names)
		if err != nil {
			return nil, err
		}
		meta := f.Metadata.ToMap()
		meta[frame.MetaLevels] = string(levels)
		fields[i].Metadata = arrow.MetadataFrom(meta)
	}
	return arrow.NewSchema(fields, nil), nil
}

// damaged runs f; a panic of the decoder, which trusts what it reads, is an error.
func damaged(f func() error) (err error) {
	if p := panics.Try(func() { err = f() }); p != nil {
		return fmt.Errorf("the file is damaged (%v)", p.Value)
	}
	return err
}

func (r *parquetReader) produce(ctx context.Context, start func(int, job[*Read]) bool) error {
	at := r.at
	opened := &advance[*parquetFile]{
		open:  func(i int) (*parquetFile, error) { return openParquet(ctx, r.files[i]) },
		drop:  func(p *parquetFile) { p.Close() },
		depth: depthOf(r.files), next: at.File, end: len(r.files),
	}
	defer opened.close()
	for i := at.File; i < len(r.files); i++ {
		rows := int64(0)
		if i == r.at.File {
			rows = r.at.Rows
		}
		p, err := opened.take()
		if err == nil {
			err = r.fit(p)
		}
		if err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
		done, added := newCountdown(p.Close), r.added.of(i)
		err = r.readFile(ctx, p, position{File: i, Path: p.name, Rows: rows, Total: at.Total}, added, done, start)
		at.Total += p.NumRows() - rows
		done.release()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// readFile starts a job for each row group from at on.
func (r *parquetReader) readFile(ctx context.Context, p *parquetFile, at position, added *constants, done *countdown, start func(int, job[*Read]) bool) error {
	if at.Rows > p.NumRows() {
		return fmt.Errorf("parquet: resume: %s has %d rows now, fewer than the %d that were read", p.name, p.NumRows(), at.Rows)
	}
	before := int64(0) // rows of the file in row groups before this one
	for number, g := range p.RowGroups() {
		skip := max(at.Rows-before, 0)
		before += g.NumRows()
		if skip >= g.NumRows() {
			continue
		}
		from := position{File: at.File, Path: at.Path, Rows: before - g.NumRows() + skip}
		from.Total = at.Total + from.Rows - at.Rows
		done.add()
		if !start(r.depth(p, g), func(ctx context.Context, emit func(*Read) bool) error {
			defer done.release()
			if err := damaged(func() error { return r.readGroup(p, number, skip, from, added, emit) }); err != nil {
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
func (r *parquetReader) readGroup(p *parquetFile, number int, skip int64, at position, added *constants, emit func(*Read) bool) error {
	g := p.RowGroups()[number]
	pages := func(c parquet.ColumnChunk) parquet.Pages { return c.Pages() }
	if p.remote {
		ranges := newGroupRanges(p, number, p.leaves)
		defer ranges.close()
		pages = func(c parquet.ColumnChunk) parquet.Pages { return c.(*parquet.FileColumnChunk).PagesFrom(ranges) }
	}
	columns := make([]*columnReader, len(p.leaves))
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.close()
			}
		}
	}()
	for i, l := range p.leaves {
		c, err := newColumnReader(l, pages(g.ColumnChunks()[l.column]), skip)
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
		if err == nil {
			f, err = added.add(f)
		}
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

func (r *parquetReader) Schema() *frame.Schema { return r.added.widen(r.schema) }
func (r *parquetReader) Size() Size            { return Size{Rows: r.rows, Bytes: r.found.Size().Bytes} }

func (r *parquetReader) Next(ctx context.Context) (*Read, error) { return r.ahead.next(ctx) }

func (r *parquetReader) Close() error {
	r.ahead.close()
	return nil
}
