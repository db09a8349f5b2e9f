package frame

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/rdata"
)

// fromList makes a column of a list: binary of raw vectors, list<T> of vectors
// that all have one type.
func fromList(f arrow.Field, v *rdata.List) (arrow.Field, arrow.Array, error) {
	var first rdata.Value
	for _, x := range v.Values {
		if rdata.KindOf(x) != rdata.KindNull {
			first = x
			break
		}
	}
	switch first.(type) {
	case nil:
		f.Type = arrow.FixedWidthTypes.Boolean
		f = withMeta(f, MetaUnknown, "1")
		return f, nullArray(f, len(v.Values)), nil
	case *rdata.Raw:
		return fromRawList(f, v)
	}
	if a := plainList(&f, v); a != nil {
		return f, a, nil
	}
	return fromVectorList(f, v)
}

func fromRawList(f arrow.Field, v *rdata.List) (arrow.Field, arrow.Array, error) {
	f.Type = arrow.BinaryTypes.Binary
	c := NewColumn(f, len(v.Values))
	for i, x := range v.Values {
		switch x := x.(type) {
		case rdata.Null:
			c.AppendNull()
		case *rdata.Raw:
			c.AppendBytes(x.Values)
		default:
			return f, nil, mixedList(f.Name, i, x, "raw")
		}
	}
	a, err := c.Array()
	return f, a, err
}

func mixedList(name string, row int, v rdata.Value, want string) error {
	return &ValueError{Column: name, Row: row, Reason: describe(v) + " in a list of " + want,
		Hint: "give all elements one type, or make them text, such as sapply(x, jsonlite::toJSON)"}
}

// plainList is the fast way for elements that are all of one type and have no
// attributes; nil where they are not.
func plainList(f *arrow.Field, v *rdata.List) arrow.Array {
	kind := rdata.KindNull
	for _, x := range v.Values {
		k := rdata.KindOf(x)
		if k == rdata.KindNull {
			continue
		}
		if kind == rdata.KindNull {
			kind = k
		}
		if k != kind || len(x.Attributes()) > 0 {
			return nil
		}
	}
	elem := arrow.Field{Nullable: true}
	switch kind {
	case rdata.KindInteger:
		elem.Type = arrow.PrimitiveTypes.Int32
	case rdata.KindDouble:
		elem.Type = arrow.PrimitiveTypes.Float64
	case rdata.KindCharacter:
		elem.Type = arrow.BinaryTypes.String
	default:
		return nil
	}
	f.Type = ListType(elem)
	c := NewColumn(*f, len(v.Values))
	child := c.Child()
	for _, x := range v.Values {
		switch x := x.(type) {
		case rdata.Null:
			c.AppendNull()
			continue
		case *rdata.Integer:
			for _, e := range x.Values {
				if e == rdata.NAInteger {
					child.AppendNull()
				} else {
					child.AppendInt32(e)
				}
			}
		case *rdata.Double:
			for _, e := range x.Values {
				if rdata.IsNA(e) {
					child.AppendNull()
				} else {
					child.AppendDouble(e)
				}
			}
		case *rdata.Character:
			for i := range x.Len() {
				if x.IsNA(i) {
					child.AppendNull()
				} else {
					child.AppendBytes(x.Data[x.Offsets[i]:x.Offsets[i+1]])
				}
			}
		}
		c.AppendList()
	}
	a, err := c.Array()
	if err != nil {
		return nil
	}
	return a
}

// fromVectorList reads each element as if it were a column, finds the type that
// holds all of them (NA and integers adopt that of the others), and joins them.
func fromVectorList(f arrow.Field, v *rdata.List) (arrow.Field, arrow.Array, error) {
	parts := make([]arrow.Array, 0, len(v.Values))
	fields := make([]arrow.Field, 0, len(v.Values))
	rows := make([]int, 0, len(v.Values))
	off := make([]int32, len(v.Values)+1)
	var valid []byte
	var elem arrow.Field
	for i, x := range v.Values {
		off[i+1] = off[i]
		if rdata.KindOf(x) == rdata.KindNull {
			valid = clearBit(valid, i, len(v.Values))
			continue
		}
		switch x.(type) {
		case *rdata.Logical, *rdata.Integer, *rdata.Double, *rdata.Character:
		default:
			return f, nil, mixedList(f.Name, i, x, "vectors")
		}
		e, a, err := fromVector(f.Name, x)
		if err != nil {
			if ve, ok := err.(*ValueError); ok {
				ve.Row = i
			}
			return f, nil, err
		}
		if e, a, err = listElement(e, a); err != nil {
			return f, nil, err
		}
		if len(parts) == 0 {
			elem = e
		} else {
			u, ok := unifyField(elem, e)
			if !ok {
				return f, nil, mixedList(f.Name, i, x, TypeName(elem))
			}
			elem = u
		}
		off[i+1] += int32(a.Len())
		parts, fields, rows = append(parts, a), append(fields, e), append(rows, i)
	}
	for i := range parts {
		a, err := convert(parts[i], fields[i], elem)
		if err != nil {
			return f, nil, &ValueError{Column: f.Name, Row: rows[i], Reason: fmt.Sprintf("%s does not fit a list of %s",
				TypeName(fields[i]), TypeName(elem)), Hint: "give all elements one type"}
		}
		parts[i] = a
	}
	child, err := concatArrays(parts)
	if err != nil {
		return f, nil, fmt.Errorf("column %q: %w", f.Name, err)
	}
	f.Type = ListType(elem)
	d := array.NewData(f.Type, len(v.Values), []*memory.Buffer{buffer(valid), bytesOf(off)},
		[]arrow.ArrayData{child.Data()}, nullCount(valid, len(v.Values)), 0)
	return f, array.NewListData(d), nil
}

// listElement makes strings of a factor, since levels may differ by element.
func listElement(f arrow.Field, a arrow.Array) (arrow.Field, arrow.Array, error) {
	if KindOf(f) != KindFactor {
		return f, a, nil
	}
	s := arrow.Field{Name: f.Name, Type: arrow.BinaryTypes.String, Nullable: true}
	c, err := convert(a, f, s)
	return s, c, err
}
