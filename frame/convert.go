package frame

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// maxExact is the largest integer below which a double holds every integer.
const maxExact = 1 << 53

// convertNumber converts between int32, int64 and double, or names the first
// value that the wanted type does not hold.
func convertNumber(a arrow.Array, h, w arrow.Field) (arrow.Array, error) {
	c := NewColumn(w, a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			c.AppendNull()
			continue
		}
		ok := true
		switch a := a.(type) {
		case *array.Int32:
			if c.kind == KindInt64 {
				c.AppendInt64(int64(a.Value(i)))
			} else {
				c.AppendDouble(float64(a.Value(i)))
			}
		case *array.Int64:
			v := a.Value(i)
			if c.kind == KindDouble {
				ok = v >= -maxExact && v <= maxExact
				c.AppendDouble(float64(v))
			} else {
				ok = int64(int32(v)) == v
				c.AppendInt32(int32(v))
			}
		case *array.Float64:
			v := a.Value(i)
			ok = v == math.Trunc(v) && math.Abs(v) <= maxExact && !(v == 0 && math.Signbit(v))
			if c.kind == KindInt32 {
				ok = ok && v >= math.MinInt32 && v <= math.MaxInt32
			}
			if !ok {
				break
			}
			if c.kind == KindInt64 {
				c.AppendInt64(int64(v))
			} else {
				c.AppendInt32(int32(v))
			}
		}
		if !ok {
			return nil, conflict(h, w, i, string(AppendText(nil, a, i, TextOptions{})))
		}
	}
	return c.Array()
}

// decodeFactor makes strings of a factor.
func decodeFactor(d *array.Dictionary, w arrow.Field) (arrow.Array, error) {
	levels := d.Dictionary().(*array.String)
	c := NewColumn(w, d.Len())
	for i := range d.Len() {
		if k := d.GetValueIndex; d.IsNull(i) || levels.IsNull(k(i)) {
			c.AppendNull()
		} else {
			c.AppendString(levels.Value(k(i)))
		}
	}
	return c.Array()
}

// encodeFactor makes a factor of strings, its levels in the order of appearance.
func encodeFactor(s *array.String, w arrow.Field) (arrow.Array, error) {
	if w.Type.(*arrow.DictionaryType).Ordered {
		return nil, conflict(arrow.Field{Name: w.Name, Type: s.DataType()}, w, -1, "")
	}
	c := NewColumn(w, s.Len())
	for i := range s.Len() {
		if s.IsNull(i) {
			c.AppendNull()
		} else {
			c.AppendString(s.Value(i))
		}
	}
	return c.Array()
}

// checkJSON passes strings that are valid JSON.
func checkJSON(s *array.String, h, w arrow.Field) (arrow.Array, error) {
	for i := range s.Len() {
		if s.IsValid(i) && !json.Valid([]byte(s.Value(i))) {
			return nil, conflict(h, w, i, strconv.Quote(clip(s.Value(i))))
		}
	}
	return s, nil
}

// convertUnits brings a difftime to the wanted units. R chooses the units of a
// difference by its size, so they differ from batch to batch.
func convertUnits(a *array.Float64, h, w arrow.Field) arrow.Array {
	from, to := difftimeUnits[meta(h, MetaUnits)], difftimeUnits[meta(w, MetaUnits)]
	if from == to || from == 0 || to == 0 {
		return a
	}
	c := NewColumn(w, a.Len())
	for i := range a.Len() {
		switch {
		case a.IsNull(i):
			c.AppendNull()
		case from > to:
			c.AppendDouble(a.Value(i) * (from / to)) // the quotient is a whole number
		default:
			c.AppendDouble(a.Value(i) / (to / from))
		}
	}
	out, _ := c.Array() // doubles have no limit
	return out
}

func convertList(l *array.List, h, w arrow.Field) (arrow.Array, error) {
	he, we := h.Type.(*arrow.ListType).ElemField(), w.Type.(*arrow.ListType).ElemField()
	he.Name, we.Name = h.Name, w.Name
	lo, hi := listBounds(l)
	child, err := convert(sliceArray(l.ListValues(), lo, hi), he, we)
	if c, ok := errors.AsType[*ConflictError](err); ok {
		c.Have, c.Want = TypeName(h), TypeName(w)
		c.Hint = conflict(h, w, -1, "").Hint
		if c.Row >= 0 { // rows of the child are not rows of the frame
			c.Row = listRow(l, lo+c.Row)
		}
	}
	if err != nil {
		return nil, err
	}
	off := make([]int32, l.Len()+1)
	for i := range l.Len() {
		_, end := l.ValueOffsets(i)
		off[i+1] = int32(end) - int32(lo)
	}
	return array.NewListData(array.NewData(w.Type, l.Len(), []*memory.Buffer{buffer(validBits(l)), bytesOf(off)},
		[]arrow.ArrayData{child.Data()}, l.NullN(), 0)), nil
}

// listRow is the row of a list array that holds element k of its child.
func listRow(l *array.List, k int) int {
	for i := range l.Len() {
		if lo, hi := l.ValueOffsets(i); int64(k) >= lo && int64(k) < hi {
			return i
		}
	}
	return -1
}

// clip shortens a text for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && s[n]&0xc0 == 0x80 { // not within a character
		n--
	}
	return s[:n] + "…"
}

func quoteText(b []byte) string { return strconv.Quote(clip(string(b))) }
