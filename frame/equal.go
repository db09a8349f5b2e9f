package frame

import (
	"bytes"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Equal says that two frames have the same columns, types and values: see Diff.
func Equal(a, b Frame) bool { return Diff(a, b) == "" }

// Diff says where b first differs from a, or "" where it does not. Names, order
// and types of the columns must be the same, with what their metadata means; so
// must each value: a null equals only a null, every NaN equals every NaN, and 0
// is not -0. A factor is compared by its strings, an ordered one by its levels
// too.
func Diff(a, b Frame) string {
	sa, sb := a.Schema(), b.Schema()
	if sa.NumFields() != sb.NumFields() {
		return fmt.Sprintf("%d columns, not %d", sb.NumFields(), sa.NumFields())
	}
	if a.NumRows() != b.NumRows() {
		return fmt.Sprintf("%d rows, not %d", b.NumRows(), a.NumRows())
	}
	for i := range sa.NumFields() {
		fa, fb := sa.Field(i), sb.Field(i)
		if fa.Name != fb.Name {
			return fmt.Sprintf("column %d is %q, not %q", i+1, fb.Name, fa.Name)
		}
		if !sameType(fa, fb) || hasMeta(fa, MetaTimezone) != hasMeta(fb, MetaTimezone) {
			return fmt.Sprintf("column %q is %s %v, not %s %v", fa.Name, TypeName(fb), fb.Metadata, TypeName(fa), fa.Metadata)
		}
		if d := diffArray(fa, a.Column(i), b.Column(i)); d != "" {
			return fmt.Sprintf("column %q, %s", fa.Name, d)
		}
	}
	return ""
}

func diffArray(f arrow.Field, a, b arrow.Array) string {
	if d, ok := a.(*array.Dictionary); ok && a.Len() > 0 && d.DataType().(*arrow.DictionaryType).Ordered &&
		!array.Equal(d.Dictionary(), b.(*array.Dictionary).Dictionary()) {
		return fmt.Sprintf("levels %v, not %v", b.(*array.Dictionary).Dictionary(), d.Dictionary())
	}
	for i := range a.Len() {
		if !equalValue(a, b, i) {
			o := TextOptions{Null: "NA"}
			return fmt.Sprintf("row %d: %s, not %s", i+1, AppendText(nil, b, i, o), AppendText(nil, a, i, o))
		}
	}
	return ""
}

func equalValue(a, b arrow.Array, i int) bool {
	if a.IsNull(i) || b.IsNull(i) {
		return a.IsNull(i) && b.IsNull(i)
	}
	switch x := a.(type) {
	case *array.Float64:
		v, w := x.Value(i), b.(*array.Float64).Value(i)
		return math.Float64bits(v) == math.Float64bits(w) || v != v && w != w
	case *array.List:
		y := b.(*array.List)
		lo, hi := x.ValueOffsets(i)
		from, to := y.ValueOffsets(i)
		if hi-lo != to-from {
			return false
		}
		va, vb := sliceArray(x.ListValues(), int(lo), int(hi)), sliceArray(y.ListValues(), int(from), int(to))
		for k := range va.Len() {
			if !equalValue(va, vb, k) {
				return false
			}
		}
		return true
	}
	return bytes.Equal(AppendText(nil, a, i, TextOptions{}), AppendText(nil, b, i, TextOptions{}))
}
