package frame

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Normalize brings the columns of any Arrow record batch to the types of this
// package, at the edge where it comes in:
//
//   - int8, int16, uint8, uint16 → int32; uint32, uint64 → int64
//   - float16, float32 → double
//   - decimals without fraction → int64, others → double
//   - large and view forms of strings and binary, fixed-size binary → string, binary
//   - date64 → date; timestamps in s, ms or ns → µs
//   - time of day → hms; durations → difftime in seconds
//   - dictionaries of strings → factor; of anything else → its values
//   - lists, large and fixed-size too, by their elements; lists of what a list
//     cannot hold, structs and maps → json
//   - null → bool marked MetaUnknown; an extension type → its storage
//
// A value that would lose something (an uint64 beyond int64, nanoseconds that
// are not whole microseconds, a decimal of more than 15 digits that is no exact
// double) is a *ValueError that names column and row. Unions, intervals and
// run-end encoded columns are refused, as are two columns of one name.
func Normalize(f Frame) (Frame, error) {
	s := f.Schema()
	fields := make([]arrow.Field, s.NumFields())
	cols := make([]arrow.Array, s.NumFields())
	same := true
	for i := range fields {
		h, a := s.Field(i), f.Column(i)
		settle(a)
		fields[i], cols[i] = h, a
		fields[i].Nullable = true
		if k := KindOf(h); k == KindOther || k == KindFactor && !distinctLevels(a.(*array.Dictionary)) {
			w, c, err := normalize(h, a)
			if err != nil {
				if ve := (*ValueError)(nil); errors.As(err, &ve) {
					ve.Column = h.Name
				}
				return nil, fmt.Errorf("convert to a frame: %w", err)
			}
			fields[i], cols[i], same = w, c, false
		}
	}
	if len(duplicateNames(fields)) > 0 {
		return nil, fmt.Errorf("convert to a frame: %w", duplicateError(fields))
	}
	if same {
		return f, nil
	}
	return New(newSchema(s, fields), cols, int(f.NumRows())), nil
}

// normalize converts one column that is not of this package's types.
func normalize(f arrow.Field, a arrow.Array) (arrow.Field, arrow.Array, error) {
	w := arrow.Field{Name: f.Name, Nullable: true, Metadata: f.Metadata}
	switch a := a.(type) {
	case *array.Null:
		w.Type = arrow.FixedWidthTypes.Boolean
		w = withMeta(w, MetaUnknown, "1")
		return w, nullArray(w, a.Len()), nil
	case array.ExtensionArray:
		storage := f
		storage.Type = a.Storage().DataType()
		if KindOf(storage) != KindOther {
			storage.Nullable = true
			return storage, a.Storage(), nil
		}
		return normalize(storage, a.Storage())
	case *array.Dictionary:
		return normalizeDictionary(w, a)
	case *array.List, *array.LargeList, *array.FixedSizeList:
		return normalizeList(w, a.(array.ListLike))
	case *array.Struct, *array.Map:
		return toJSON(w, a)
	}
	c, appendValue, err := scalar(w, a)
	if err != nil {
		return w, nil, err
	}
	for i := range a.Len() {
		if a.IsNull(i) {
			c.AppendNull()
		} else if reason := appendValue(i); reason != "" {
			return w, nil, &ValueError{Column: f.Name, Row: i, Reason: reason, Hint: "convert the column where it comes from"}
		}
	}
	out, err := c.Array()
	return c.field, out, err
}

// distinctLevels says that a factor's levels differ from each other and are not null.
func distinctLevels(d *array.Dictionary) bool {
	s := d.Dictionary().(*array.String)
	if s.NullN() > 0 {
		return false
	}
	seen := make(map[string]struct{}, s.Len())
	for i := range s.Len() {
		seen[s.Value(i)] = struct{}{}
	}
	return len(seen) == s.Len()
}

func normalizeDictionary(w arrow.Field, d *array.Dictionary) (arrow.Field, arrow.Array, error) {
	value := arrow.Field{Name: w.Name, Type: d.Dictionary().DataType(), Nullable: true}
	table := d.Dictionary()
	if KindOf(value) == KindOther {
		var err error
		if value, table, err = normalize(value, table); err != nil {
			return w, nil, err
		}
	}
	if s, ok := table.(*array.String); ok {
		w.Type = FactorType(d.DataType().(*arrow.DictionaryType).Ordered)
		c := NewColumn(w, d.Len())
		codes := make([]int32, s.Len())
		for k := range codes {
			if s.IsValid(k) {
				codes[k] = c.dict.code(textBytes(s.Value(k)))
			} else {
				codes[k] = -1
			}
		}
		for i := range d.Len() {
			if d.IsNull(i) || codes[d.GetValueIndex(i)] < 0 {
				c.AppendNull()
			} else {
				c.AppendInt32(codes[d.GetValueIndex(i)])
			}
		}
		out, err := c.Array()
		return w, out, err
	}
	w.Type = value.Type
	c := NewColumn(w, d.Len())
	for i := range d.Len() {
		if k := d.GetValueIndex; d.IsNull(i) || table.IsNull(k(i)) {
			c.AppendNull()
		} else if !c.appendFrom(table, k(i)) {
			return w, nil, fmt.Errorf("column %q: a dictionary of %s is not supported", w.Name, TypeName(value))
		}
	}
	out, err := c.Array()
	return w, out, err
}

func normalizeList(w arrow.Field, l array.ListLike) (arrow.Field, arrow.Array, error) {
	elem := arrow.Field{Name: w.Name, Type: l.ListValues().DataType(), Nullable: true}
	if t, ok := l.DataType().(arrow.ListLikeType); ok {
		elem = t.ElemField()
		elem.Name, elem.Nullable = w.Name, true
	}
	child := l.ListValues()
	if KindOf(elem) == KindOther {
		var err error
		if elem, child, err = normalize(elem, child); err != nil {
			if ve := (*ValueError)(nil); errors.As(err, &ve) {
				ve.Row = likeRow(l, ve.Row)
			}
			return w, nil, err
		}
	}
	w.Type = ListType(elem)
	if KindOf(w) == KindOther {
		return toJSON(w, l)
	}
	c := NewColumn(w, l.Len())
	for i := range l.Len() {
		if l.IsNull(i) {
			c.AppendNull()
			continue
		}
		lo, hi := l.ValueOffsets(i)
		c.child.appendRange(child, int(lo), int(hi))
		c.AppendList()
	}
	out, err := c.Array()
	return w, out, err
}

func likeRow(l array.ListLike, k int) int {
	for i := range l.Len() {
		if lo, hi := l.ValueOffsets(i); int64(k) >= lo && int64(k) < hi {
			return i
		}
	}
	return -1
}
