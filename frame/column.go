package frame

import (
	"bytes"
	"fmt"
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Column collects the values of one column in the memory that its Arrow array
// will have, so that Array copies nothing. Only the append methods that fit its
// kind may be called; another one panics or makes a column that Array refuses.
// A Column is not safe for concurrent use.
type Column struct {
	field arrow.Field
	kind  Kind
	rows  int // to make room for

	n     int
	nulls int
	valid []byte // bitmap, nil until the first null
	bits  []byte // bool
	i32   []int32
	i64   []int64
	f64   []float64
	off   []int32 // ends of strings or lists, with a leading 0
	data  []byte
	dict  *levels
	child *Column
	err   error
}

// NewColumn makes a column with room for rows values. A factor starts with the
// levels that its field's MetaLevels declares. The field's type must be
// one of this package's (see Kind); it panics for another.
func NewColumn(f arrow.Field, rows int) *Column {
	c := &Column{field: f, kind: KindOf(f)}
	switch c.kind {
	case KindOther:
		panic(fmt.Sprintf("frame: no column of type %v", f.Type))
	case KindList:
		c.child = NewColumn(f.Type.(*arrow.ListType).ElemField(), rows)
	case KindFactor:
		c.dict = declaredLevels(f)
	}
	c.reset(rows, 0)
	return c
}

// reset starts a new array of about rows values and data bytes of text.
func (c *Column) reset(rows, data int) {
	c.rows, c.n, c.nulls, c.valid, c.err = rows, 0, 0, nil, nil
	switch c.kind {
	case KindBool:
		c.bits = make([]byte, 0, (rows+7)/8)
	case KindInt32, KindDate, KindFactor:
		c.i32 = make([]int32, 0, rows)
	case KindInt64, KindTimestamp, KindDatetime:
		c.i64 = make([]int64, 0, rows)
	case KindDouble, KindDifftime:
		c.f64 = make([]float64, 0, rows)
	case KindString, KindJSON, KindBinary:
		c.off = make([]int32, 1, rows+1)
		c.data = make([]byte, 0, data)
	case KindList:
		c.off = make([]int32, 1, rows+1)
	}
}

// Field is the field that the column was made for.
func (c *Column) Field() arrow.Field { return c.field }

// Len is the number of values so far.
func (c *Column) Len() int { return c.n }

// Nulls is the number of missing values so far.
func (c *Column) Nulls() int { return c.nulls }

// Bytes is about the memory of the values so far.
func (c *Column) Bytes() int {
	b := len(c.valid) + len(c.bits) + 4*len(c.i32) + 8*len(c.i64) + 8*len(c.f64) + 4*len(c.off) + len(c.data)
	if c.child != nil {
		b += c.child.Bytes()
	}
	if c.dict != nil {
		b += len(c.dict.data)
	}
	return b
}

// Array hands over the values as an array and starts anew, with room for as
// much. Levels of a factor are kept, so later arrays share them.
func (c *Column) Array() (arrow.Array, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.valid != nil && len(c.valid) < (c.n+7)/8 {
		return nil, fmt.Errorf("column %q: values of another kind were appended", c.field.Name)
	}
	var bufs []*memory.Buffer
	var children []arrow.ArrayData
	c.trim()
	valid := buffer(c.valid)
	got := 0
	switch c.kind {
	case KindBool:
		bufs, got = []*memory.Buffer{valid, memory.NewBufferBytes(c.bits)}, c.n
	case KindInt32, KindDate, KindFactor:
		bufs, got = []*memory.Buffer{valid, bytesOf(c.i32)}, len(c.i32)
	case KindInt64, KindTimestamp, KindDatetime:
		bufs, got = []*memory.Buffer{valid, bytesOf(c.i64)}, len(c.i64)
	case KindDouble, KindDifftime:
		bufs, got = []*memory.Buffer{valid, bytesOf(c.f64)}, len(c.f64)
	case KindString, KindJSON, KindBinary:
		bufs, got = []*memory.Buffer{valid, bytesOf(c.off), memory.NewBufferBytes(c.data)}, len(c.off)-1
	case KindList:
		child, err := c.child.Array()
		if err != nil {
			return nil, err
		}
		children = []arrow.ArrayData{child.Data()}
		bufs, got = []*memory.Buffer{valid, bytesOf(c.off)}, len(c.off)-1
	}
	if got != c.n {
		return nil, fmt.Errorf("column %q: values of another kind were appended", c.field.Name)
	}
	n, nulls, data := c.n, c.nulls, len(c.data)
	c.reset(max(c.rows, n), data+data/8)
	if c.kind == KindFactor {
		return factorArray(c.field.Type, n, bufs, nulls, c.dict.array()), nil
	}
	return array.MakeFromData(array.NewData(c.field.Type, n, bufs, children, nulls, 0)), nil
}

// trim gives back the room of a column that was made for many more values.
func (c *Column) trim() {
	if c.n*2 >= c.rows || c.rows < 64 {
		return
	}
	c.valid, c.bits, c.data = bytes.Clone(c.valid), bytes.Clone(c.bits), bytes.Clone(c.data)
	c.i32, c.i64, c.f64, c.off = slices.Clone(c.i32), slices.Clone(c.i64), slices.Clone(c.f64), slices.Clone(c.off)
}

// factorArray makes a dictionary array of codes and levels.
func factorArray(t arrow.DataType, n int, bufs []*memory.Buffer, nulls int, levels arrow.Array) arrow.Array {
	return array.NewDictionaryData(array.NewDataWithDictionary(t, n, bufs, nulls, 0, levels.Data().(*array.Data)))
}

// bytesOf wraps a slice's memory.
func bytesOf[T int32 | int64 | float64](v []T) *memory.Buffer {
	var z T
	return memory.NewBufferBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(z))))
}

// validBits is a's validity from its first row on, nil where nothing is missing.
func validBits(a arrow.Array) []byte {
	if a.NullN() == 0 {
		return nil
	}
	b := make([]byte, (a.Len()+7)/8)
	bitutil.CopyBitmap(a.NullBitmapBytes(), a.Data().Offset(), a.Len(), b, 0)
	return b
}
