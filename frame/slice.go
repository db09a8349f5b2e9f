package frame

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Slice is rows [i, j) of f, sharing its memory. It panics, as a slice
// expression does, where the bounds are not within f.
func Slice(f Frame, i, j int) Frame {
	n := int(f.NumRows())
	if i < 0 || j < i || j > n {
		panic(fmt.Sprintf("frame: slice [%d:%d] of %d rows", i, j, n))
	}
	if i == 0 && j == n {
		return f
	}
	cols := make([]arrow.Array, f.NumCols())
	for k := range cols {
		cols[k] = sliceArray(f.Column(k), i, j)
	}
	return New(f.Schema(), cols, j-i)
}

// Empty is a frame of schema s without rows.
func Empty(s *Schema) Frame {
	cols := make([]arrow.Array, s.NumFields())
	for i := range cols {
		cols[i] = nullArray(s.Field(i), 0)
	}
	return New(s, cols, 0)
}

// New makes a frame of Arrow arrays, which must have the schema's types and
// rows rows each; it panics where they do not. Arrow's own constructor leaves
// what is computed on first use to the first reader, which is a data race
// between the readers of a shared frame; here it is done at once. Arrays of
// types that frames do not have are the caller's to convert.
func New(s *Schema, cols []arrow.Array, rows int) Frame {
	for _, a := range cols {
		settle(a)
	}
	return array.NewRecordBatch(s, cols, int64(rows))
}

// settle makes an array do what it would do on first use: count its nulls, and
// make an array of its dictionary.
func settle(a arrow.Array) {
	a.NullN()
	switch a := a.(type) {
	case *array.List:
		settle(a.ListValues())
	case *array.Dictionary:
		a.Indices().NullN()
		a.Dictionary().NullN()
	}
}

// sliceArray is rows [i, j) of a, its nulls counted (see settle).
func sliceArray(a arrow.Array, i, j int) arrow.Array {
	if i == 0 && j == a.Len() {
		return a
	}
	d := a.Data()
	nulls := 0
	if a.NullN() > 0 {
		nulls = j - i - bitutil.CountSetBits(a.NullBitmapBytes(), d.Offset()+i, j-i)
	}
	if dict, ok := a.(*array.Dictionary); ok {
		return array.NewDictionaryData(array.NewDataWithDictionary(d.DataType(), j-i, d.Buffers(), nulls, d.Offset()+i,
			dict.Dictionary().Data().(*array.Data)))
	}
	return array.MakeFromData(array.NewData(d.DataType(), j-i, d.Buffers(), d.Children(), nulls, d.Offset()+i))
}

// nullArray is n nulls of a field's type.
func nullArray(f arrow.Field, n int) arrow.Array {
	if KindOf(f) == KindOther {
		return array.MakeArrayOfNull(Allocator, f.Type, n)
	}
	c := NewColumn(f, n)
	c.AppendNulls(n)
	a, _ := c.Array() // n nulls never outgrow an offset
	return a
}

// nullCount counts the zero bits of n.
func nullCount(valid []byte, n int) int {
	if valid == nil {
		return 0
	}
	return n - bitutil.CountSetBits(valid, 0, n)
}

// buffer wraps memory of Go's.
func buffer(b []byte) *memory.Buffer {
	if b == nil {
		return nil
	}
	return memory.NewBufferBytes(b)
}
