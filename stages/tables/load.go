package tables

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// tellEvery is how often the log hears of a dataset that takes long.
const tellEvery = 10 * time.Second

// load is the whole table, with the columns that joins have asked for. It is
// read at the first call.
func (t *opened) load(ctx context.Context, env *stages.Env) (frame.Frame, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table == nil && t.err == nil {
		t.table, t.err = t.read(ctx, env)
		if t.reader != nil {
			if err := t.reader.Close(); t.err == nil {
				t.err = err
			}
			t.reader = nil
		}
	}
	return t.table, t.err
}

func (t *opened) read(ctx context.Context, env *stages.Env) (frame.Frame, error) {
	if err := t.narrow(ctx, env); err != nil {
		return nil, err
	}
	began := time.Now()
	p := &pile{names: t.wanted()}
	s := newStream(t, env)
	for {
		f, err := s.next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.add(f)
		}
		if err != nil {
			return nil, fmt.Errorf("dataset %s: %w", t.name, err)
		}
		if t.limit > 0 && p.bytes > t.limit {
			return nil, t.tooLarge(p.rows, p.bytes)
		}
	}
	f, err := p.frame(t.schema)
	if err != nil {
		return nil, fmt.Errorf("dataset %s: %w", t.name, err)
	}
	if env.Log != nil {
		env.Log.Info("loaded the dataset "+t.name, "rows", f.NumRows(), "columns", f.NumCols(),
			"memory", size(frame.Bytes(f)), "took", time.Since(began).Round(time.Millisecond))
	}
	return f, nil
}

// narrow opens a Parquet dataset anew where not all of its columns are asked
// for: those that are not cost nothing then. Other sources read them anyhow.
func (t *opened) narrow(ctx context.Context, env *stages.Env) error {
	p, ok := t.source.(*sources.Parquet)
	columns := t.wanted()
	if !ok || len(columns) == 0 || len(columns) == t.schema.NumFields() {
		return nil
	}
	narrow := *p
	narrow.Columns = columns
	if err := t.reader.Close(); err != nil {
		return err
	}
	t.reader = nil
	r, err := narrow.Open(ctx, env, "")
	if err != nil {
		return err
	}
	t.reader, t.schema = r, r.Schema()
	return nil
}

// tooLarge says what to do about a table that does not fit.
func (t *opened) tooLarge(rows, bytes int64) error {
	of := ""
	if t.size.Rows > rows {
		of = fmt.Sprintf(" of %d", t.size.Rows)
	}
	return fmt.Errorf("dataset %s does not fit into max_memory, which is %v: %d rows%s take %s; raise max_memory (or memory, of which it is a quarter where it is not set), name fewer columns, or use sql, which goes to the disk",
		t.name, configs.Size(t.limit), rows, of, size(bytes))
}

// stream yields the frames of a dataset, and tells the log how it goes.
type stream struct {
	from     *opened
	env      *stages.Env
	told     time.Time
	rows     int64
	rejected int64
}

func newStream(t *opened, env *stages.Env) *stream {
	return &stream{from: t, env: env, told: time.Now()}
}

// next is the next frame that has rows, or io.EOF.
func (s *stream) next(ctx context.Context) (frame.Frame, error) {
	for {
		read, err := s.from.reader.Next(ctx)
		if err != nil {
			if errors.Is(err, io.EOF) && s.rejected > 0 && s.env.Log != nil {
				s.env.Log.Warn("skipped records of the dataset "+s.from.name, "records", s.rejected)
			}
			return nil, err
		}
		s.rejected += int64(len(read.Rejected))
		if read.Frame == nil || read.Frame.NumRows() == 0 {
			continue
		}
		s.rows += read.Frame.NumRows()
		if time.Since(s.told) > tellEvery && s.env.Log != nil {
			s.told = time.Now()
			s.env.Log.Info("loading the dataset "+s.from.name, "rows", s.rows, "of", s.from.size.Rows)
		}
		return read.Frame, nil
	}
}

// pile is what has been read of a table, column by column.
type pile struct {
	names   []string
	columns [][]arrow.Array
	levels  []*byte // the memory of the last part's levels, which later parts share
	counted []int64 // bytes of it that are counted
	rows    int64
	bytes   int64
}

func (p *pile) add(f frame.Frame) error {
	if p.columns == nil {
		p.columns = make([][]arrow.Array, len(p.names))
		p.levels, p.counted = make([]*byte, len(p.names)), make([]int64, len(p.names))
	}
	f, err := frame.Select(f, p.names)
	if err != nil {
		return err
	}
	p.rows += f.NumRows()
	if p.rows > math.MaxInt32 {
		return fmt.Errorf("it has more than %d rows, and a join holds no more; use sql", math.MaxInt32)
	}
	for i, a := range f.Columns() {
		p.columns[i] = append(p.columns[i], a)
		p.bytes += p.weigh(i, f.Schema().Field(i), a)
	}
	return nil
}

// weigh is what a part adds to the memory. Levels that it shares with the part
// before are counted once.
func (p *pile) weigh(i int, f arrow.Field, a arrow.Array) int64 {
	d, ok := a.(*array.Dictionary)
	if !ok {
		return frame.Bytes(frame.New(arrow.NewSchema([]arrow.Field{f}, nil), []arrow.Array{a}, a.Len()))
	}
	n := 4*int64(a.Len()) + int64(a.Len())/8
	levels := d.Dictionary().(*array.String)
	if levels.Len() == 0 {
		return n
	}
	text := levels.ValueBytes()
	size := 4*int64(levels.Len()) + int64(len(text))
	var at *byte
	if len(text) > 0 {
		at = &text[0]
	}
	if at != p.levels[i] {
		p.levels[i], p.counted[i] = at, 0
	}
	n += max(0, size-p.counted[i])
	p.counted[i] = max(size, p.counted[i])
	return n
}

// frame joins the parts. Each column's parts are let go when it is joined, so
// that the table is in memory twice for one column at a time only.
func (p *pile) frame(schema *frame.Schema) (frame.Frame, error) {
	s, _, err := frame.SelectSchema(schema, p.names)
	if err != nil {
		return nil, err
	}
	if p.rows == 0 {
		return frame.Empty(s), nil
	}
	columns := make([]arrow.Array, len(p.columns))
	for i, parts := range p.columns {
		one := arrow.NewSchema(s.Fields()[i:i+1], nil)
		frames := make([]frame.Frame, len(parts))
		for k, a := range parts {
			frames[k] = frame.New(one, []arrow.Array{a}, a.Len())
		}
		p.columns[i] = nil
		f, err := frame.Concat(frames...)
		if err != nil {
			return nil, err
		}
		columns[i] = f.Column(0)
	}
	return frame.New(s, columns, int(p.rows)), nil
}

// size is bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
