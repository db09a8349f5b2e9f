package stages

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// groupCutter makes one frame of the rows of each group, of frames that are
// sorted by group.
type groupCutter struct {
	columns []*keyColumn // what the columns were before SQL had them
	by      []int        // the columns that make a group
	emit    func(frame.Frame) error

	pieces []frame.Frame // of the group that is open
}

// add cuts a frame where the group changes.
func (g *groupCutter) add(f frame.Frame) error {
	f, err := g.typed(f)
	if err != nil {
		return err
	}
	n := int(f.NumRows())
	if n == 0 {
		return nil
	}
	if len(g.pieces) > 0 {
		last := g.pieces[len(g.pieces)-1]
		if !g.same(last, int(last.NumRows())-1, f, 0) {
			if err := g.flush(); err != nil {
				return err
			}
		}
	}
	from := 0
	for i := 1; i < n; i++ {
		if g.same(f, i-1, f, i) {
			continue
		}
		g.pieces = append(g.pieces, frame.Slice(f, from, i))
		from = i
		if err := g.flush(); err != nil {
			return err
		}
	}
	g.pieces = append(g.pieces, frame.Slice(f, from, n))
	return nil
}

// flush emits the open group.
func (g *groupCutter) flush() error {
	if len(g.pieces) == 0 {
		return nil
	}
	f, err := frame.Concat(g.pieces...)
	if err != nil {
		return err
	}
	g.pieces = nil
	return g.emit(f)
}

// all makes one group of everything.
func (g *groupCutter) all(ctx context.Context, next SQLInput) error {
	for {
		f, err := next(ctx)
		if errors.Is(err, io.EOF) {
			return g.flush()
		}
		if err != nil {
			return err
		}
		if f.NumRows() > 0 {
			g.pieces = append(g.pieces, f)
		}
	}
}

// typed gives a frame from SQL the types of the input.
func (g *groupCutter) typed(f frame.Frame) (frame.Frame, error) {
	fields := make([]arrow.Field, len(g.columns))
	columns := make([]arrow.Array, len(g.columns))
	for i, k := range g.columns {
		var err error
		if columns[i], err = k.restore(f.Column(i), f.Schema().Field(i)); err != nil {
			return nil, err
		}
		fields[i] = k.field
	}
	return frame.New(arrow.NewSchema(fields, nil), columns, int(f.NumRows())), nil
}

func (g *groupCutter) same(f frame.Frame, i int, h frame.Frame, j int) bool {
	for _, at := range g.by {
		if !sameValue(f.Column(at), i, h.Column(at), j) {
			return false
		}
	}
	return true
}

// sameValue compares two values of one type as SQL's GROUP BY does: NULL is like
// NULL and NaN like NaN, and there is one zero.
func sameValue(a arrow.Array, i int, b arrow.Array, j int) bool {
	if a.IsNull(i) || b.IsNull(j) {
		return a.IsNull(i) && b.IsNull(j)
	}
	switch a := a.(type) {
	case *array.Int32:
		return a.Value(i) == b.(*array.Int32).Value(j)
	case *array.Int64:
		return a.Value(i) == b.(*array.Int64).Value(j)
	case *array.Float64:
		x, y := a.Value(i), b.(*array.Float64).Value(j)
		return x == y || math.IsNaN(x) && math.IsNaN(y)
	case *array.String:
		return a.Value(i) == b.(*array.String).Value(j)
	case *array.Date32:
		return a.Value(i) == b.(*array.Date32).Value(j)
	case *array.Timestamp:
		return a.Value(i) == b.(*array.Timestamp).Value(j)
	case *array.Boolean:
		return a.Value(i) == b.(*array.Boolean).Value(j)
	}
	return a.ValueStr(i) == b.ValueStr(j)
}

// keyText is a value as errors quote it.
func keyText(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "NA"
	}
	text := a.ValueStr(i)
	const most = 60
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}

// stream is the number of a group's random stream: a hash of its values, so that
// it does not depend on what other groups there are.
func (c *Reduce) stream(b *Rows) uint64 {
	h := fnv.New64a()
	for _, name := range c.By {
		a, _, ok := frame.Lookup(b.Value, name)
		if !ok || b.Rows == 0 || a.IsNull(0) {
			h.Write([]byte{0})
			continue
		}
		h.Write([]byte{1})
		h.Write([]byte(a.ValueStr(0)))
		h.Write([]byte{0})
	}
	return h.Sum64()
}
