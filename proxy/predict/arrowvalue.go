package predict

import (
	"encoding/json"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// copying is how much memory the values that are taken over may take still: many
// may be the same bytes of the request.
type copying struct{ left int64 }

// take panics with errArrowSize where there is no more.
func (m *copying) take(n, size int64) {
	if n > m.left/size {
		panic(errArrowSize)
	}
	m.left -= max(0, n) * size
}

// value adds value i of an array of whatever type to a column, where the column
// holds it exactly; else it reports false.
func (m *copying) value(c *frame.Column, a arrow.Array, i int) bool {
	if a.IsNull(i) {
		c.AppendNull()
		return true
	}
	switch a := a.(type) {
	case *array.Null:
		c.AppendNull()
		return true
	case *array.Boolean:
		if frame.KindOf(c.Field()) != frame.KindBool {
			return false
		}
		c.AppendBool(a.Value(i))
		return true
	case *array.Int8:
		return appendInteger(c, int64(a.Value(i)))
	case *array.Int16:
		return appendInteger(c, int64(a.Value(i)))
	case *array.Int32:
		return appendInteger(c, int64(a.Value(i)))
	case *array.Int64:
		return appendInteger(c, a.Value(i))
	case *array.Uint8:
		return appendInteger(c, int64(a.Value(i)))
	case *array.Uint16:
		return appendInteger(c, int64(a.Value(i)))
	case *array.Uint32:
		return appendInteger(c, int64(a.Value(i)))
	case *array.Uint64:
		return a.Value(i) <= math.MaxInt64 && appendInteger(c, int64(a.Value(i)))
	case *array.Float16:
		return appendFloat(c, float64(a.Value(i).Float32()))
	case *array.Float32:
		return appendFloat(c, float64(a.Value(i)))
	case *array.Float64:
		return appendFloat(c, a.Value(i))
	case *array.String:
		return m.text(c, a.Value(i))
	case *array.LargeString:
		return m.text(c, a.Value(i))
	case *array.StringView:
		return m.text(c, a.Value(i))
	case *array.Dictionary:
		return m.value(c, a.Dictionary(), a.GetValueIndex(i))
	case *array.Date32:
		return appendDay(c, int64(a.Value(i)))
	case *array.Date64:
		const day = 24 * 3600 * 1000
		return a.Value(i)%day == 0 && appendDay(c, int64(a.Value(i)/day))
	case *array.Timestamp:
		return appendTime(c, a.Value(i), a.DataType().(*arrow.TimestampType))
	case *array.Binary:
		return m.binary(c, a.Value(i))
	case *array.LargeBinary:
		return m.binary(c, a.Value(i))
	case *array.List:
		lo, hi := a.ValueOffsets(i)
		return m.list(c, a.ListValues(), lo, hi)
	case *array.LargeList:
		lo, hi := a.ValueOffsets(i)
		return m.list(c, a.ListValues(), lo, hi)
	}
	return false
}

func appendInteger(c *frame.Column, v int64) bool {
	switch frame.KindOf(c.Field()) {
	case frame.KindInt32:
		if v < math.MinInt32 || v > math.MaxInt32 {
			return false
		}
		c.AppendInt32(int32(v))
	case frame.KindInt64:
		c.AppendInt64(v)
	case frame.KindDouble, frame.KindDifftime:
		if v < -1<<53 || v > 1<<53 {
			return false
		}
		c.AppendDouble(float64(v))
	default:
		return false
	}
	return true
}

func appendFloat(c *frame.Column, v float64) bool {
	switch frame.KindOf(c.Field()) {
	case frame.KindDouble, frame.KindDifftime:
		c.AppendDouble(v)
		return true
	case frame.KindInt32, frame.KindInt64:
		return v == math.Trunc(v) && math.Abs(v) <= 1<<53 && appendInteger(c, int64(v))
	}
	return false
}

func (m *copying) text(c *frame.Column, s string) bool {
	m.take(int64(len(s)), 1)
	switch frame.KindOf(c.Field()) {
	case frame.KindString, frame.KindFactor, frame.KindJSON, frame.KindDate, frame.KindTimestamp, frame.KindDatetime:
		return c.ParseText([]byte(s))
	}
	return false
}

func appendDay(c *frame.Column, v int64) bool {
	if frame.KindOf(c.Field()) != frame.KindDate || v != int64(int32(v)) {
		return false
	}
	c.AppendInt32(int32(v))
	return true
}

// appendTime adds an instant to a column of instants, or a time without a zone to
// one of those.
func appendTime(c *frame.Column, v arrow.Timestamp, t *arrow.TimestampType) bool {
	want := frame.KindTimestamp
	if t.TimeZone == "" {
		want = frame.KindDatetime
	}
	if frame.KindOf(c.Field()) != want {
		return false
	}
	us := int64(v)
	switch t.Unit {
	case arrow.Second, arrow.Millisecond:
		factor := int64(1_000_000)
		if t.Unit == arrow.Millisecond {
			factor = 1000
		}
		if us > math.MaxInt64/factor || us < math.MinInt64/factor {
			return false
		}
		us *= factor
	case arrow.Nanosecond:
		us = floorDiv(int64(v), 1000)
	}
	c.AppendInt64(us)
	return true
}

// floorDiv is a/b rounded down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (m *copying) binary(c *frame.Column, v []byte) bool {
	m.take(int64(len(v)), 1)
	switch frame.KindOf(c.Field()) {
	case frame.KindBinary:
		c.AppendBytes(v)
		return true
	case frame.KindString:
		return utf8.Valid(v) && c.ParseText(v)
	}
	return false
}

func (m *copying) list(c *frame.Column, values arrow.Array, lo, hi int64) bool {
	if frame.KindOf(c.Field()) != frame.KindList {
		return false
	}
	m.take(hi-lo, 8)
	child := c.Child()
	n := child.Len()
	for k := lo; k < hi; k++ {
		if !m.value(child, values, int(k)) {
			child.Truncate(n)
			return false
		}
	}
	c.AppendList()
	return true
}

// withLevels gives a factor the levels of its first batch, in their order.
func (m *copying) withLevels(f arrow.Field, first arrow.Array) arrow.Field {
	d, ok := first.(*array.Dictionary)
	if !ok || frame.KindOf(f) != frame.KindFactor {
		return f
	}
	var levels []string
	for i := range d.Dictionary().Len() {
		level := d.Dictionary().ValueStr(i)
		m.take(int64(len(level))+1, 8) // as JSON, at most
		levels = append(levels, level)
	}
	text, err := json.Marshal(levels)
	if err != nil {
		return f
	}
	known := f.Metadata.ToMap()
	known[frame.MetaLevels] = string(text)
	f.Metadata = arrow.MetadataFrom(known)
	return f
}
