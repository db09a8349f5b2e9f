package frame

import (
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/rdata"
)

// fixed makes an array of fixed-width values whose missing ones are the zero
// bits of valid.
func fixed[T int32 | int64 | float64](f arrow.Field, v []T, valid []byte) (arrow.Field, arrow.Array, error) {
	d := array.NewData(f.Type, len(v), []*memory.Buffer{buffer(valid), bytesOf(v)}, nil, nullCount(valid, len(v)), 0)
	return f, array.MakeFromData(d), nil
}

// missing makes the validity bits of n values; nil where none is missing.
func missing(n int, isNA func(i int) bool) (valid []byte) {
	for i := range n {
		if isNA(i) {
			valid = clearBit(valid, i, n)
		}
	}
	return valid
}

// clearBit marks value i of n as missing, in bits that are made when needed.
func clearBit(valid []byte, i, n int) []byte {
	if valid == nil {
		valid = make([]byte, (n+7)/8)
		for k := range valid {
			valid[k] = 0xff
		}
	}
	valid[i>>3] &^= 1 << (i & 7)
	return valid
}

func fromLogical(f arrow.Field, v *rdata.Logical) (arrow.Field, arrow.Array, error) {
	f.Type = arrow.FixedWidthTypes.Boolean
	n := len(v.Values)
	bits := make([]byte, (n+7)/8)
	var valid []byte
	nulls := 0
	for i, x := range v.Values {
		switch {
		case x == rdata.NAInteger:
			valid = clearBit(valid, i, n)
			nulls++
		case x != 0:
			bits[i>>3] |= 1 << (i & 7)
		}
	}
	if nulls == n {
		f = withMeta(f, MetaUnknown, "1")
	}
	d := array.NewData(f.Type, n, []*memory.Buffer{buffer(valid), memory.NewBufferBytes(bits)}, nil, nulls, 0)
	return f, array.NewBooleanData(d), nil
}

func integerNA(v []int32) []byte {
	return missing(len(v), func(i int) bool { return v[i] == rdata.NAInteger })
}

func fromInteger(f arrow.Field, v *rdata.Integer) (arrow.Field, arrow.Array, error) {
	valid := integerNA(v.Values)
	switch class := rclassOf(v); class {
	case "factor":
		return fromFactor(f, v, valid)
	case "Date":
		f.Type = arrow.FixedWidthTypes.Date32
		return fixed(f, v.Values, valid)
	case "":
		f.Type = arrow.PrimitiveTypes.Int32
		return fixed(f, v.Values, valid)
	}
	// A time or a span of integers is one of doubles.
	d := &rdata.Double{Values: make([]float64, len(v.Values)), Attrs: v.Attrs}
	for i, x := range v.Values {
		d.Values[i] = float64(x)
		if x == rdata.NAInteger {
			d.Values[i] = rdata.NAReal
		}
	}
	return fromDouble(f, d)
}

// rclassOf is the class among those that the type table knows; "" for none.
func rclassOf(v rdata.Value) string {
	for _, c := range rdata.Class(v) {
		switch c {
		case "factor", "Date", "POSIXct", "difftime", "integer64":
			return c
		}
	}
	return ""
}

func fromFactor(f arrow.Field, v *rdata.Integer, valid []byte) (arrow.Field, arrow.Array, error) {
	levels, ok := v.Attrs.Get("levels").(*rdata.Character)
	if !ok {
		return f, nil, &ValueError{Column: f.Name, Row: -1, Reason: "a factor without levels"}
	}
	n := levels.Len()
	codes := make([]int32, len(v.Values))
	for i, x := range v.Values {
		switch {
		case x == rdata.NAInteger:
		case x < 1 || int(x) > n:
			return f, nil, &ValueError{Column: f.Name, Row: i, Reason: fmt.Sprintf("code %d of a factor with %d levels", x, n)}
		default:
			codes[i] = x - 1
		}
	}
	table, err := levelsFromR(f.Name, levels)
	if err != nil {
		return f, nil, err
	}
	if levels.Missing != nil { // addNA(): a level that is NA
		k := make([]int32, n)
		next := int32(0)
		for i := range k {
			if k[i] = next; !levels.IsNA(i) {
				next++
			}
		}
		for i, x := range v.Values {
			if x == rdata.NAInteger {
				continue
			}
			if levels.IsNA(int(x - 1)) {
				valid = clearBit(valid, i, len(codes))
				codes[i] = 0
			} else {
				codes[i] = k[x-1]
			}
		}
	}
	f.Type = FactorType(rdata.Inherits(v, "ordered"))
	return f, factorArray(f.Type, len(codes), []*memory.Buffer{buffer(valid), bytesOf(codes)},
		nullCount(valid, len(codes)), table), nil
}

// levelsFromR is the levels of a factor but NA, which must differ.
func levelsFromR(name string, levels *rdata.Character) (arrow.Array, error) {
	table := newLevels()
	for i := range levels.Len() {
		if levels.IsNA(i) {
			continue
		}
		s := levels.Data[levels.Offsets[i]:levels.Offsets[i+1]]
		if k := len(table.codes); int(table.code(s)) != k {
			return nil, &ValueError{Column: name, Row: -1, Reason: "the level " + quoteText(s) + " occurs twice", Hint: "use droplevels() or factor()"}
		}
	}
	return table.array(), nil
}

func fromDouble(f arrow.Field, v *rdata.Double) (arrow.Field, arrow.Array, error) {
	x := v.Values
	switch rclassOf(v) {
	case "integer64":
		f.Type = arrow.PrimitiveTypes.Int64
		ints := make([]int64, len(x))
		var valid []byte
		for i, d := range x {
			ints[i] = int64(math.Float64bits(d))
			if ints[i] == rdata.NAInteger64 {
				valid = clearBit(valid, i, len(x))
			}
		}
		return fixed(f, ints, valid)
	case "Date":
		return fromDate(f, x)
	case "POSIXct":
		return fromTime(f, v)
	case "difftime":
		class, unit := "difftime", "secs"
		if rdata.Inherits(v, "hms") {
			class = "hms"
		}
		if u, ok := v.Attrs.Get("units").(*rdata.Character); ok && u.Len() > 0 {
			unit, _ = u.At(0)
		}
		if difftimeUnits[unit] == 0 {
			return f, nil, &ValueError{Column: f.Name, Row: -1, Reason: "a difftime in " + strconv.Quote(unit),
				Hint: "use secs, mins, hours, days or weeks"}
		}
		d := difftimeField(class, unit)
		f.Type, f.Metadata = d.Type, d.Metadata
	default:
		f.Type = arrow.PrimitiveTypes.Float64
	}
	var valid []byte
	for i, d := range x {
		if d != d && rdata.IsNA(d) {
			valid = clearBit(valid, i, len(x))
		}
	}
	return fixed(f, x, valid)
}

// fromDate floors the days, as R does when it prints a Date; NaN is missing.
func fromDate(f arrow.Field, x []float64) (arrow.Field, arrow.Array, error) {
	f.Type = arrow.FixedWidthTypes.Date32
	days := make([]int32, len(x))
	var valid []byte
	for i, d := range x {
		if d != d {
			valid = clearBit(valid, i, len(x))
			continue
		}
		d = math.Floor(d)
		if !(d >= math.MinInt32 && d <= math.MaxInt32) {
			return f, nil, &ValueError{Column: f.Name, Row: i, Reason: "a date that is infinite or too far away", Hint: "make it NA"}
		}
		days[i] = int32(d)
	}
	return fixed(f, days, valid)
}

// fromTime rounds seconds to microseconds; NaN is missing.
func fromTime(f arrow.Field, v *rdata.Double) (arrow.Field, arrow.Array, error) {
	zone := ""
	if tz, ok := v.Attrs.Get("tzone").(*rdata.Character); ok && tz.Len() > 0 {
		zone, _ = tz.At(0) // as.POSIXct of a POSIXlt has the names of standard and summer time behind it
	}
	if zone == "" {
		f.Metadata = arrow.MetadataFrom(map[string]string{MetaTimezone: ""})
		zone = "UTC"
	}
	f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: zone}
	times := make([]int64, len(v.Values))
	var valid []byte
	for i, sec := range v.Values {
		if sec != sec {
			valid = clearBit(valid, i, len(times))
			continue
		}
		us, ok := microsOf(sec)
		if !ok {
			return f, nil, &ValueError{Column: f.Name, Row: i, Reason: "a time that is infinite or too far away", Hint: "make it NA"}
		}
		times[i] = us
	}
	return fixed(f, times, valid)
}

// stringsFromR makes a string array over a character vector's memory.
func stringsFromR(name string, v *rdata.Character) (arrow.Array, error) {
	n := v.Len()
	off := make([]int32, n+1)
	if n > 0 {
		if v.Offsets[n] > math.MaxInt32 {
			return nil, &ValueError{Column: name, Row: -1, Reason: "more than 2 GiB of text", Hint: "use smaller batches"}
		}
		for i, o := range v.Offsets {
			off[i] = int32(o)
		}
	}
	var valid []byte
	if v.Missing != nil {
		valid = missing(n, v.IsNA)
	}
	d := array.NewData(arrow.BinaryTypes.String, n, []*memory.Buffer{buffer(valid), bytesOf(off), memory.NewBufferBytes(v.Data)},
		nil, nullCount(valid, n), 0)
	return array.NewStringData(d), nil
}
