package frame

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

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
