package frame

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// Restore gives the columns of got that have the same name as one of in the
// type they had there, where the conversion of every value is exact and undoes
// what the way through R did:
//
//   - int64, which R returns as double or integer;
//   - double, of which R made integer;
//   - wall clock times (timestamp without zone), which R holds in UTC;
//   - the zone of an instant, which R's c() and ifelse() drop;
//   - JSON, which R returns as character;
//   - a column of nothing but NA;
//   - lists, by their elements.
//
// A column that R turned into another type on purpose keeps it: a double that
// was an int32 stays double, whatever its values are, since the next batch of
// the same function may have others.
func Restore(got Frame, in *Schema) Frame {
	fields := slices.Clone(got.Schema().Fields())
	cols := slices.Clone(got.Columns())
	changed := false
	for i, h := range fields {
		k := in.FieldIndices(h.Name)
		if len(k) == 0 {
			continue
		}
		w := in.Field(k[0])
		if !restorable(h, w) {
			continue
		}
		if a, err := convert(cols[i], h, w); err == nil {
			cols[i], fields[i], changed = a, w, true
		}
	}
	if !changed {
		return got
	}
	return New(newSchema(got.Schema(), fields), cols, int(got.NumRows()))
}

func restorable(h, w arrow.Field) bool {
	if KindOf(w) == KindOther || h.Equal(w) {
		return false
	}
	if isUnknown(h) {
		return true
	}
	kh := KindOf(h)
	if sameType(h, w) {
		return kh != KindFactor // whose metadata may name levels that R has changed
	}
	switch KindOf(w) {
	case KindInt64:
		return kh == KindDouble || kh == KindInt32
	case KindDouble:
		return kh == KindInt32
	case KindDatetime:
		return isUTC(h)
	case KindTimestamp:
		return kh == KindTimestamp && meta(h, MetaTimezone) == "" && hasMeta(h, MetaTimezone)
	case KindJSON:
		return kh == KindString
	case KindList:
		if kh != KindList {
			return false
		}
		he, we := h.Type.(*arrow.ListType).ElemField(), w.Type.(*arrow.ListType).ElemField()
		return restorable(he, we)
	}
	return false
}

func hasMeta(f arrow.Field, key string) bool {
	_, ok := f.Metadata.GetValue(key)
	return ok
}
