package tables

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// maxText is what the offsets of one column of text can address; less in tests.
var maxText int64 = math.MaxInt32

// pile is what has been read of a table, column by column.
type pile struct {
	names   []string
	columns [][]arrow.Array
	levels  []*byte // the memory of the last part's levels, which later parts share
	counted []int64 // bytes of it that are counted
	text    []int64 // bytes of text
	rows    int64
	bytes   int64
}

func (p *pile) add(f frame.Frame) error {
	if p.columns == nil {
		p.columns = make([][]arrow.Array, len(p.names))
		p.levels, p.counted, p.text = make([]*byte, len(p.names)), make([]int64, len(p.names)), make([]int64, len(p.names))
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
		if p.text[i] > maxText {
			return fmt.Errorf("column %q has more than 2 GiB of text, and a join holds no more in one column; leave it out with columns, or use sql", p.names[i])
		}
	}
	return nil
}

// weigh is what a part adds to the memory. Levels that it shares with the part
// before are counted once.
func (p *pile) weigh(i int, f arrow.Field, a arrow.Array) int64 {
	d, ok := a.(*array.Dictionary)
	if !ok {
		if t, ok := a.(array.BinaryLike); ok {
			p.text[i] += int64(len(t.ValueBytes()))
		}
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
