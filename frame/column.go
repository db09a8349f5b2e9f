package frame

import (
	"bytes"
	"fmt"
	"math"
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

// NewColumn makes a column with room for rows values. The field's type must be
// one of this package's (see Kind); it panics for another.
func NewColumn(f arrow.Field, rows int) *Column {
	c := &Column{field: f, kind: KindOf(f)}
	switch c.kind {
	case KindOther:
		panic(fmt.Sprintf("frame: no column of type %v", f.Type))
	case KindList:
		c.child = NewColumn(f.Type.(*arrow.ListType).ElemField(), rows)
	case KindFactor:
		c.dict = newLevels()
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

func (c *Column) markValid() {
	if c.valid != nil {
		if c.n>>3 == len(c.valid) {
			c.valid = append(c.valid, 0)
		}
		c.valid[c.n>>3] |= 1 << (c.n & 7)
	}
	c.n++
}

func (c *Column) markNull() {
	if c.valid == nil {
		c.valid = make([]byte, c.n>>3, (max(c.rows, c.n+1)+7)/8)
		for i := range c.valid {
			c.valid[i] = 0xff
		}
		if c.n&7 != 0 {
			c.valid = append(c.valid, 1<<(c.n&7)-1)
		}
	}
	if c.n>>3 == len(c.valid) {
		c.valid = append(c.valid, 0)
	}
	c.n++
	c.nulls++
}

// AppendNull adds a missing value.
func (c *Column) AppendNull() {
	switch c.kind {
	case KindBool:
		c.appendBit(0)
	case KindInt32, KindDate, KindFactor:
		c.i32 = append(c.i32, 0)
	case KindInt64, KindTimestamp, KindDatetime:
		c.i64 = append(c.i64, 0)
	case KindDouble, KindDifftime:
		c.f64 = append(c.f64, 0)
	case KindString, KindJSON, KindBinary:
		c.off = append(c.off, int32(len(c.data)))
	case KindList:
		c.off = append(c.off, int32(c.child.n))
	}
	c.markNull()
}

// AppendNulls adds n missing values.
func (c *Column) AppendNulls(n int) {
	for range n {
		c.AppendNull()
	}
}

func (c *Column) appendBit(v byte) {
	if c.n>>3 == len(c.bits) {
		c.bits = append(c.bits, 0)
	}
	c.bits[c.n>>3] |= v << (c.n & 7)
}

// AppendBool adds a value to a column of kind bool.
func (c *Column) AppendBool(v bool) {
	var b byte
	if v {
		b = 1
	}
	c.appendBit(b)
	c.markValid()
}

// AppendInt32 adds a value to a column of kind int32, or the days since
// 1970-01-01 to one of kind date.
func (c *Column) AppendInt32(v int32) {
	c.i32 = append(c.i32, v)
	c.markValid()
}

// AppendInt64 adds a value to a column of kind int64, or the microseconds since
// 1970-01-01 to a timestamp of either kind.
func (c *Column) AppendInt64(v int64) {
	c.i64 = append(c.i64, v)
	c.markValid()
}

// AppendDouble adds a value to a column of kind double or difftime. NaN is a value.
func (c *Column) AppendDouble(v float64) {
	c.f64 = append(c.f64, v)
	c.markValid()
}

// AppendBytes adds a copy of v to a column of kind string, JSON, binary or
// factor. Text must be valid UTF-8; that is not checked here.
func (c *Column) AppendBytes(v []byte) {
	if c.kind == KindFactor {
		c.i32 = append(c.i32, c.dict.code(v))
		c.markValid()
		return
	}
	c.data = append(c.data, v...)
	c.off = append(c.off, c.end(len(c.data)))
	c.markValid()
}

// AppendString is AppendBytes for a string.
func (c *Column) AppendString(v string) {
	c.AppendBytes(unsafe.Slice(unsafe.StringData(v), len(v)))
}

// end is an offset; what grows beyond Arrow's 32 bits is refused by Array.
func (c *Column) end(n int) int32 {
	if n > math.MaxInt32 {
		c.err = fmt.Errorf("column %q: more than 2 GiB in one frame; use smaller batches", c.field.Name)
		return math.MaxInt32
	}
	return int32(n)
}

// Truncate drops the values from n on, such as those of a row that failed.
func (c *Column) Truncate(n int) {
	if n >= c.n {
		return
	}
	if c.valid != nil {
		c.nulls -= c.n - n - bitutil.CountSetBits(c.valid, n, c.n-n)
		c.valid = cutBits(c.valid, n)
	}
	switch c.kind {
	case KindBool:
		c.bits = cutBits(c.bits, n)
	case KindInt32, KindDate, KindFactor:
		c.i32 = c.i32[:n]
	case KindInt64, KindTimestamp, KindDatetime:
		c.i64 = c.i64[:n]
	case KindDouble, KindDifftime:
		c.f64 = c.f64[:n]
	case KindString, KindJSON, KindBinary:
		c.off = c.off[:n+1]
		c.data = c.data[:c.off[n]]
	case KindList:
		c.off = c.off[:n+1]
		c.child.Truncate(int(c.off[n]))
	}
	c.n = n
}

// cutBits keeps n bits and clears the rest of the last byte, as appending expects it.
func cutBits(b []byte, n int) []byte {
	b = b[:(n+7)/8]
	if n&7 != 0 {
		b[n>>3] &= 1<<(n&7) - 1
	}
	return b
}

// Child is where the elements of a list column go, before AppendList.
func (c *Column) Child() *Column { return c.child }

// AppendList ends a list: its elements are what Child got since the last one.
func (c *Column) AppendList() {
	c.off = append(c.off, c.end(c.child.n))
	c.markValid()
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
