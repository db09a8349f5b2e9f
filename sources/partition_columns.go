package sources

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// partitions adds the columns of directories to the frames of files. A nil
// *partitions adds none.
type partitions struct {
	schema *frame.Schema // of the frames with these columns
	from   []int         // by column of schema: where it is in the file's frame, or ^where in values
	values frame.Frame   // a row for each file
}

// over makes what adds these columns to frames of schema s: at the end, or in
// the given order. A type is the declared one, else that of our manifest, else
// inferred from the values of all files.
func (d *directories) over(s *frame.Schema, order []string, declared map[string]arrow.Field) (*partitions, error) {
	if d == nil {
		return nil, nil
	}
	if len(order) == 0 {
		for _, f := range s.Fields() {
			order = append(order, f.Name)
		}
		order = append(order, d.names...)
	}
	values, err := d.table(order, declared)
	if err != nil || values.NumCols() == 0 {
		return nil, err
	}
	p := &partitions{values: values}
	fields := make([]arrow.Field, len(order))
	for i, name := range order {
		if at := s.FieldIndices(name); len(at) > 0 {
			p.from, fields[i] = append(p.from, at[0]), s.Field(at[0])
			continue
		}
		at := values.Schema().FieldIndices(name)[0]
		p.from, fields[i] = append(p.from, ^at), values.Schema().Field(at)
	}
	meta := s.Metadata()
	p.schema = arrow.NewSchema(fields, &meta)
	return p, nil
}

// widen is the schema of frames whose files have schema s.
func (p *partitions) widen(s *frame.Schema) *frame.Schema {
	if p == nil {
		return s
	}
	return p.schema
}

// of is what adds the columns to the frames of one file.
func (p *partitions) of(file int) *constants {
	if p == nil {
		return nil
	}
	return &constants{partitions: p, row: int32(file)}
}

// constants are the columns of directories for one file's frames, in which
// they are the same in every row: they are made once for the longest frame, and
// cut for the others. Several goroutines may use it.
type constants struct {
	*partitions
	row int32

	mu      sync.Mutex
	longest frame.Frame
}

func (c *constants) add(f frame.Frame) (frame.Frame, error) {
	if c == nil {
		return f, nil
	}
	n := int(f.NumRows())
	same, err := c.rows(n)
	if err != nil {
		return nil, err
	}
	columns := make([]arrow.Array, len(c.from))
	for i, at := range c.from {
		if at >= 0 {
			columns[i] = f.Column(at)
		} else {
			columns[i] = same.Column(^at)
		}
	}
	return frame.New(c.schema, columns, n), nil
}

// rows is n times the file's row.
func (c *constants) rows(n int) (frame.Frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.longest == nil || int(c.longest.NumRows()) < n {
		rows := make([]int32, n)
		for i := range rows {
			rows[i] = c.row
		}
		var err error
		if c.longest, err = frame.Take(c.values, rows); err != nil {
			return nil, err
		}
	}
	return frame.Slice(c.longest, 0, n), nil
}
