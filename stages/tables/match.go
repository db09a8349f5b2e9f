package tables

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// match is how the values of a key column are compared with those of the
// stream's.
type match uint8

const (
	matchNone   match = iota // one side has only missing values: nothing matches
	matchWhole               // both as whole numbers: integers, dates, times, booleans
	matchDouble              // both as doubles; NaN equals NaN, 0 equals -0
	matchMixed               // an integer and a double: equal where the double is exactly that integer
	matchText                // by their bytes: strings, levels of factors, binary
)

// matchOf is how a column of the stream is compared with one of a dataset. The
// error says how to make them comparable.
func matchOf(stream, dataset arrow.Field) (match, error) {
	a, b := frame.KindOf(stream), frame.KindOf(dataset)
	switch {
	case unknown(stream) || unknown(dataset):
		return matchNone, nil
	case integer(a) && integer(b), a == b && (a == frame.KindBool || a == frame.KindDate || a == frame.KindTimestamp || a == frame.KindDatetime):
		return matchWhole, nil
	case a == frame.KindDouble && b == frame.KindDouble:
		return matchDouble, nil
	case (integer(a) || a == frame.KindDouble) && (integer(b) || b == frame.KindDouble):
		return matchMixed, nil
	case text(a) && text(b), a == frame.KindBinary && b == frame.KindBinary:
		return matchText, nil
	case a == frame.KindDifftime && b == frame.KindDifftime && unit(stream) == unit(dataset):
		return matchDouble, nil
	}
	return 0, incomparable(stream, dataset)
}

func integer(k frame.Kind) bool { return k == frame.KindInt32 || k == frame.KindInt64 }

func text(k frame.Kind) bool {
	return k == frame.KindString || k == frame.KindFactor || k == frame.KindJSON
}

func unknown(f arrow.Field) bool { return metadata(f, frame.MetaUnknown) == "1" }

func unit(f arrow.Field) string { return metadata(f, frame.MetaUnits) }

func metadata(f arrow.Field, key string) string {
	v, _ := f.Metadata.GetValue(key)
	return v
}

// incomparable says why two columns cannot be keys of one join, and how they can.
func incomparable(stream, dataset arrow.Field) error {
	a, b := frame.KindOf(stream), frame.KindOf(dataset)
	column := `"` + stream.Name + `"`
	cast := func(to string) string {
		return fmt.Sprintf("put derive: {%s: CAST(%s AS %s)} before the join", stream.Name, column, to)
	}
	how := ""
	switch {
	case a == frame.KindList || b == frame.KindList:
		how = "a list cannot be a key"
	case a == frame.KindDifftime && b == frame.KindDifftime:
		how = "bring both to one unit"
	case text(b):
		how = cast("VARCHAR")
	case integer(b):
		how = cast("BIGINT")
	case b == frame.KindDouble:
		how = cast("DOUBLE")
	case b == frame.KindBool:
		how = cast("BOOLEAN")
	case b == frame.KindDate:
		how = cast("DATE")
	case b == frame.KindDatetime && a == frame.KindTimestamp:
		how = fmt.Sprintf("put derive: {%s: %s AT TIME ZONE '%s'} before the join, for the local time", stream.Name, column, stream.Type.(*arrow.TimestampType).TimeZone)
	case b == frame.KindTimestamp && a == frame.KindDatetime:
		how = fmt.Sprintf("put derive: {%s: %s AT TIME ZONE '%s'} before the join, if that is its zone", stream.Name, column, dataset.Type.(*arrow.TimestampType).TimeZone)
	case b == frame.KindDatetime:
		how = cast("TIMESTAMP")
	case b == frame.KindTimestamp:
		how = cast("TIMESTAMPTZ")
	default:
		how = "give both one type"
	}
	of := dataset.Name
	if of == stream.Name {
		of = "the dataset's"
	}
	return fmt.Errorf("on: %s is %s and %s is %s, which have no values in common: %s, or give the dataset's column that type (types, where its source has that)",
		stream.Name, frame.TypeName(stream), of, frame.TypeName(dataset), how)
}
