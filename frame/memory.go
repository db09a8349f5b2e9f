package frame

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Bytes is the memory that the frame's rows take, counting a slice's share
// only. Of a factor's levels a slice is charged what its rows could use: all of
// them, or one level of average length for each row where there are fewer rows
// than levels.
func Bytes(f Frame) int64 {
	var n int64
	for _, c := range f.Columns() {
		n += arrayBytes(c)
	}
	return n
}

func arrayBytes(a arrow.Array) int64 {
	rows := int64(a.Len())
	if rows == 0 {
		return 0
	}
	var n int64
	if a.NullN() > 0 {
		n = (rows + 7) / 8
	}
	switch a := a.(type) {
	case *array.Boolean:
		return n + (rows+7)/8
	case *array.String:
		return n + 4*rows + int64(len(a.ValueBytes()))
	case *array.Binary:
		return n + 4*rows + int64(len(a.ValueBytes()))
	case *array.Dictionary:
		levels := int64(a.Dictionary().Len())
		share := arrayBytes(a.Dictionary())
		if rows < levels {
			share = share / levels * rows
		}
		return n + 4*rows + share
	case *array.List:
		lo, hi := listBounds(a)
		return n + 4*rows + arrayBytes(sliceArray(a.ListValues(), lo, hi))
	}
	if t, ok := a.DataType().(arrow.FixedWidthDataType); ok {
		return n + (rows*int64(t.BitWidth())+7)/8
	}
	for _, b := range a.Data().Buffers() {
		if b != nil {
			n += int64(b.Len())
		}
	}
	return n
}

// listBounds is the range of a list array's child that its rows use.
func listBounds(a *array.List) (lo, hi int) {
	if a.Len() == 0 {
		return 0, 0
	}
	off := a.Offsets()[a.Offset() : a.Offset()+a.Len()+1]
	return int(off[0]), int(off[len(off)-1])
}
