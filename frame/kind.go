package frame

import "github.com/apache/arrow-go/v18/arrow"

// Kind is the type of a column, one of those that frames are made of.
type Kind uint8

// The kinds, with the Arrow type and the R type of each.
const (
	KindOther     Kind = iota // not a type of this package
	KindBool                  // bool, logical
	KindInt32                 // int32, integer
	KindInt64                 // int64, double or bit64's integer64
	KindDouble                // float64, double
	KindString                // utf8, character
	KindJSON                  // utf8 marked MetaJSON, character
	KindFactor                // dictionary<int32, utf8>, factor or ordered
	KindDate                  // date32, Date
	KindTimestamp             // timestamp[us, zone], POSIXct
	KindDatetime              // timestamp[us] without zone, POSIXct in UTC
	KindDifftime              // float64 marked MetaR and MetaUnits, difftime
	KindBinary                // binary, list of raw
	KindList                  // list<T>, list of equal atomic vectors
)

// KindOf is the kind of a field; KindOther for what frames do not have.
func KindOf(f arrow.Field) Kind {
	switch t := f.Type.(type) {
	case *arrow.BooleanType:
		return KindBool
	case *arrow.Int32Type:
		return KindInt32
	case *arrow.Int64Type:
		return KindInt64
	case *arrow.Float64Type:
		if r := meta(f, MetaR); r == "difftime" || r == "hms" {
			return KindDifftime
		}
		return KindDouble
	case *arrow.StringType:
		if meta(f, MetaJSON) == "1" {
			return KindJSON
		}
		return KindString
	case *arrow.DictionaryType:
		if t.IndexType.ID() == arrow.INT32 && t.ValueType.ID() == arrow.STRING {
			return KindFactor
		}
	case *arrow.Date32Type:
		return KindDate
	case *arrow.TimestampType:
		switch {
		case t.Unit != arrow.Microsecond:
		case t.TimeZone == "":
			return KindDatetime
		default:
			return KindTimestamp
		}
	case *arrow.BinaryType:
		return KindBinary
	case *arrow.ListType:
		switch KindOf(t.ElemField()) {
		case KindBool, KindInt32, KindInt64, KindDouble, KindString, KindDate, KindTimestamp, KindDatetime, KindDifftime:
			return KindList
		}
	}
	return KindOther
}

// meta is the value of a field's metadata key, "" where it has none.
func meta(f arrow.Field, key string) string {
	v, _ := f.Metadata.GetValue(key)
	return v
}

// withMeta is f with a metadata key set; "" removes it.
func withMeta(f arrow.Field, key, value string) arrow.Field {
	m := f.Metadata.ToMap()
	if value == "" {
		delete(m, key)
	} else {
		m[key] = value
	}
	f.Metadata = arrow.MetadataFrom(m)
	return f
}

// Lookup finds a column by name.
func Lookup(f Frame, name string) (arrow.Array, arrow.Field, bool) {
	i := f.Schema().FieldIndices(name)
	if len(i) == 0 {
		return nil, arrow.Field{}, false
	}
	return f.Column(i[0]), f.Schema().Field(i[0]), true
}

// isUnknown says that a field's type is only a stand-in, since R gave nothing but NA.
func isUnknown(f arrow.Field) bool { return meta(f, MetaUnknown) == "1" }
