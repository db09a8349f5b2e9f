package frame

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Conform makes f's columns those of want, in want's order, where that loses
// nothing:
//
//   - a column of nulls becomes anything;
//   - int32 → int64 → double, and back where every value allows it;
//   - factor ↔ string, string → json where every text is valid JSON, json → string;
//   - difftime to other units; an instant to another zone, and from UTC to no zone
//     (which is how wall clock times come back from R);
//   - lists by their elements.
//
// Anything else is a *ConflictError, and so is a column that is missing or not
// in want.
func Conform(f Frame, want *Schema) (Frame, error) {
	have := f.Schema()
	if have.Equal(want) {
		return f, nil
	}
	for i := range have.NumFields() {
		if n := have.Field(i); !want.HasField(n.Name) {
			return nil, &ConflictError{Column: n.Name, Have: TypeName(n), Row: -1,
				Hint: "return the same columns from every batch, or declare them (returns:)"}
		}
	}
	cols := make([]arrow.Array, want.NumFields())
	for i := range cols {
		w := want.Field(i)
		a, h, ok := Lookup(f, w.Name)
		if !ok {
			return nil, &ConflictError{Column: w.Name, Want: TypeName(w), Row: -1,
				Hint: "return it from every batch, or declare the columns (returns:)"}
		}
		c, err := convert(a, h, w)
		if err != nil {
			return nil, err
		}
		cols[i] = c
	}
	return New(want, cols, int(f.NumRows())), nil
}

// Unify is the schema that frames of both a and b conform to: columns of a, in
// its order, where int32 and int64 widen to double, int32 to int64, a factor to
// string, and a column of which only NA is known takes the other's type. Else
// it is a *ConflictError (Have is b's type, Want a's).
func Unify(a, b *Schema) (*Schema, error) {
	for i := range b.NumFields() {
		if n := b.Field(i); !a.HasField(n.Name) {
			return nil, &ConflictError{Column: n.Name, Have: TypeName(n), Row: -1,
				Hint: "both must have the same columns"}
		}
	}
	fields := slices.Clone(a.Fields())
	for i, x := range fields {
		k := b.FieldIndices(x.Name)
		if len(k) == 0 {
			return nil, &ConflictError{Column: x.Name, Want: TypeName(x), Row: -1,
				Hint: "both must have the same columns"}
		}
		u, ok := unifyField(x, b.Field(k[0]))
		if !ok {
			return nil, conflict(b.Field(k[0]), x, -1, "")
		}
		fields[i] = u
	}
	return newSchema(a, fields), nil
}

func unifyField(a, b arrow.Field) (arrow.Field, bool) {
	ka, kb := KindOf(a), KindOf(b)
	number := func(k Kind) bool { return k == KindInt32 || k == KindInt64 || k == KindDouble }
	text := func(k Kind) bool { return k == KindString || k == KindFactor || k == KindJSON }
	switch {
	case sameType(a, b), isUnknown(b):
		return a, true
	case isUnknown(a):
		return b, true
	case number(ka) && number(kb):
		if kb > ka { // the kinds stand in the order of widening
			return b, true
		}
		return a, true
	case text(ka) && text(kb):
		return arrow.Field{Name: a.Name, Type: arrow.BinaryTypes.String, Nullable: true}, true
	case ka == KindTimestamp && kb == KindTimestamp, ka == KindDifftime && kb == KindDifftime:
		return a, true
	case ka == KindDatetime && isUTC(b):
		return a, true
	case ka == KindList && kb == KindList:
		ea, eb := a.Type.(*arrow.ListType).ElemField(), b.Type.(*arrow.ListType).ElemField()
		if e, ok := unifyField(ea, eb); ok {
			a.Type = ListType(e)
			return a, true
		}
	}
	return a, false
}

// sameType says that two fields have the same type and meaning: what of their
// metadata matters is equal.
func sameType(a, b arrow.Field) bool {
	if !arrow.TypeEqual(a.Type, b.Type) {
		return false
	}
	if la, ok := a.Type.(*arrow.ListType); ok {
		return sameType(la.ElemField(), b.Type.(*arrow.ListType).ElemField())
	}
	if da, ok := a.Type.(*arrow.DictionaryType); ok && da.Ordered != b.Type.(*arrow.DictionaryType).Ordered {
		return false
	}
	for _, k := range []string{MetaR, MetaUnits, MetaJSON, MetaUnknown} {
		if meta(a, k) != meta(b, k) {
			return false
		}
	}
	return true
}

// isUTC says that a column holds instants shown in UTC, the zone of R workers.
func isUTC(f arrow.Field) bool {
	t, ok := f.Type.(*arrow.TimestampType)
	return ok && (t.TimeZone == "UTC" || t.TimeZone == "Etc/UTC" || t.TimeZone == "GMT")
}

func conflict(have, want arrow.Field, row int, value string) *ConflictError {
	e := &ConflictError{Column: have.Name, Have: TypeName(have), Want: TypeName(want), Row: row, Value: value}
	if want.Name != "" {
		e.Column = want.Name
	}
	e.Hint = fmt.Sprintf("declare a type that holds both (returns: {%s: …}), or convert it", e.Column)
	switch {
	case KindOf(want) == KindDifftime:
		e.Hint = "return a difftime from every batch, or convert it with as.numeric(x, units = \"secs\")"
	case KindOf(want) == KindInt32 && KindOf(have) == KindDouble, KindOf(want) == KindInt64 && KindOf(have) == KindDouble:
		e.Hint = fmt.Sprintf("declare it as double (returns: {%s: double}), or round it", e.Column)
	}
	return e
}

// convert makes an array of field h one of field w, or says why not.
func convert(a arrow.Array, h, w arrow.Field) (arrow.Array, error) {
	kh, kw := KindOf(h), KindOf(w)
	switch {
	case sameType(h, w), kh == kw && kh != KindOther && kh != KindList && kh != KindFactor && kh != KindDifftime:
		return retype(a, w.Type), nil
	case a.NullN() == a.Len():
		return nullArray(w, a.Len()), nil
	}
	switch {
	case kh == KindInt32 && (kw == KindInt64 || kw == KindDouble),
		kh == KindInt64 && (kw == KindInt32 || kw == KindDouble),
		kh == KindDouble && (kw == KindInt32 || kw == KindInt64):
		return convertNumber(a, h, w)
	case kh == KindFactor && kw == KindString:
		return decodeFactor(a.(*array.Dictionary), w)
	case kh == KindFactor && kw == KindFactor:
		d := a.(*array.Dictionary)
		if w.Type.(*arrow.DictionaryType).Ordered {
			break // an order cannot be made up
		}
		return retype(d, w.Type), nil
	case kh == KindString && kw == KindFactor:
		return encodeFactor(a.(*array.String), w)
	case kh == KindString && kw == KindJSON:
		return checkJSON(a.(*array.String), h, w)
	case kh == KindJSON && kw == KindString:
		return a, nil
	case kh == KindDifftime && kw == KindDifftime:
		return convertUnits(a.(*array.Float64), h, w), nil
	case isUTC(h) && kw == KindDatetime:
		return retype(a, w.Type), nil
	case kh == KindList && kw == KindList:
		return convertList(a.(*array.List), h, w)
	}
	return nil, conflict(h, w, -1, "")
}

// retype is the same memory under another type of the same layout.
func retype(a arrow.Array, t arrow.DataType) arrow.Array {
	if a.DataType() == t {
		return a
	}
	d := a.Data()
	if dict, ok := a.(*array.Dictionary); ok {
		return array.NewDictionaryData(array.NewDataWithDictionary(t, d.Len(), d.Buffers(), a.NullN(), d.Offset(),
			dict.Dictionary().Data().(*array.Data)))
	}
	return array.MakeFromData(array.NewData(t, d.Len(), d.Buffers(), d.Children(), a.NullN(), d.Offset()))
}
