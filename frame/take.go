package frame

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Take gathers rows of f, in the order given; a row may be taken more than once
// or not at all. Levels of factors are shared with f. It fails where a column
// is of a type that frames do not have, or would get more than 2 GiB of text.
func Take(f Frame, rows []int32) (Frame, error) {
	cols := make([]arrow.Array, f.NumCols())
	for i := range cols {
		a, err := takeArray(f.Schema().Field(i), f.Column(i), rows)
		if err != nil {
			return nil, fmt.Errorf("take rows: %w", err)
		}
		cols[i] = a
	}
	return New(f.Schema(), cols, len(rows)), nil
}

func takeArray(f arrow.Field, a arrow.Array, rows []int32) (arrow.Array, error) {
	var values *memory.Buffer
	switch a := a.(type) {
	case *array.Int32:
		values = takeValues(a.Int32Values(), rows)
	case *array.Date32:
		values = takeValues(arrow.Int32Traits.CastFromBytes(arrow.Date32Traits.CastToBytes(a.Date32Values())), rows)
	case *array.Int64:
		values = takeValues(a.Int64Values(), rows)
	case *array.Timestamp:
		values = takeValues(arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues())), rows)
	case *array.Float64:
		values = takeValues(a.Float64Values(), rows)
	case *array.String:
		return takeText(a, a.ValueOffsets(), rows)
	case *array.Binary:
		return takeText(a, a.ValueOffsets(), rows)
	case *array.Dictionary:
		valid := takeValid(a, rows)
		return factorArray(a.DataType(), len(rows), []*memory.Buffer{buffer(valid), takeValues(factorCodes(a), rows)},
			nullCount(valid, len(rows)), a.Dictionary()), nil
	default:
		return takeOneByOne(f, a, rows)
	}
	valid := takeValid(a, rows)
	return array.MakeFromData(array.NewData(a.DataType(), len(rows), []*memory.Buffer{buffer(valid), values}, nil,
		nullCount(valid, len(rows)), 0)), nil
}

func takeValues[T int32 | int64 | float64](v []T, rows []int32) *memory.Buffer {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = v[r]
	}
	return bytesOf(out)
}

func takeValid(a arrow.Array, rows []int32) []byte {
	if a.NullN() == 0 {
		return nil
	}
	bitmap, offset := a.NullBitmapBytes(), a.Data().Offset()
	valid := make([]byte, (len(rows)+7)/8)
	for i, r := range rows {
		at := offset + int(r)
		valid[i>>3] |= bitmap[at>>3] >> (at & 7) & 1 << (i & 7)
	}
	return valid
}

// takeText gathers text or bytes, whose ends are offsets into the array's buffer.
func takeText(a arrow.Array, ends []int32, rows []int32) (arrow.Array, error) {
	data := textOf(a)
	size := 0
	for _, r := range rows {
		size += int(ends[r+1] - ends[r])
	}
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("%d rows have %d bytes of text, more than 2 GiB", len(rows), size)
	}
	text, out := gatherText(data, ends, rows, size)
	valid := takeValid(a, rows)
	buffers := []*memory.Buffer{buffer(valid), bytesOf(out), memory.NewBufferBytes(text)}
	return array.MakeFromData(array.NewData(a.DataType(), len(rows), buffers, nil, nullCount(valid, len(rows)), 0)), nil
}

// gatherText joins the texts of rows, which have so many bytes together, and
// their ends. NoRow is an empty one.
func gatherText(data []byte, ends, rows []int32, size int) (text []byte, out []int32) {
	const short = 16 // a text up to that is copied with one store, and what follows it is overwritten
	text, out = make([]byte, size+short), make([]int32, len(rows)+1)
	at := 0
	for i, r := range rows {
		if r >= 0 {
			from, to := int(ends[r]), int(ends[r+1])
			if to-from <= short && from+short <= len(data) {
				*(*[short]byte)(text[at:]) = *(*[short]byte)(data[from:])
			} else {
				copy(text[at:], data[from:to])
			}
			at += to - from
		}
		out[i+1] = int32(at)
	}
	clear(text[size:])
	return text[:size:size], out
}

// textOf is the buffer that the offsets of a text or binary array point into.
func textOf(a arrow.Array) []byte {
	if b := a.Data().Buffers()[2]; b != nil {
		return b.Bytes()
	}
	return nil
}

// takeOneByOne is for values that have no fixed width of bytes.
func takeOneByOne(f arrow.Field, a arrow.Array, rows []int32) (arrow.Array, error) {
	if KindOf(f) == KindOther {
		return nil, fmt.Errorf("column %q: %s is not a type of frames", f.Name, f.Type)
	}
	c := NewColumn(f, len(rows))
	for _, r := range rows {
		i := int(r)
		if r == NoRow || a.IsNull(i) {
			c.AppendNull()
			continue
		}
		l, ok := a.(*array.List)
		if !ok {
			c.appendFrom(a, i)
			continue
		}
		lo, hi := l.ValueOffsets(i)
		c.child.appendRange(l.ListValues(), int(lo), int(hi))
		c.AppendList()
	}
	return c.Array()
}

// appendRange adds elements [lo, hi) of an array of the column's own type.
func (c *Column) appendRange(a arrow.Array, lo, hi int) {
	for k := lo; k < hi; k++ {
		if a.IsNull(k) {
			c.AppendNull()
		} else {
			c.appendFrom(a, k)
		}
	}
}

// appendFrom adds value i of an array of the column's own type; false for lists.
func (c *Column) appendFrom(a arrow.Array, i int) bool {
	switch a := a.(type) {
	case *array.Boolean:
		c.AppendBool(a.Value(i))
	case *array.Int32:
		c.AppendInt32(a.Value(i))
	case *array.Int64:
		c.AppendInt64(a.Value(i))
	case *array.Float64:
		c.AppendDouble(a.Value(i))
	case *array.Date32:
		c.AppendInt32(int32(a.Value(i)))
	case *array.Timestamp:
		c.AppendInt64(int64(a.Value(i)))
	case *array.Binary:
		c.AppendBytes(a.Value(i))
	case *array.String:
		c.AppendString(a.Value(i))
	default:
		return false
	}
	return true
}
