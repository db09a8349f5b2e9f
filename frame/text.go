package frame

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// TextOptions say how AppendText writes values.
type TextOptions struct {
	Null  string // a missing value; "" by default
	True  string // "true" by default
	False string // "false" by default
}

// AppendText appends value i of col as text that Column.ParseText reads back
// to the same value:
//
//   - doubles in the fewest digits that give the same double, with an exponent
//     only below 1e-6 and from 1e21 on; NaN, Inf and -Inf by these names;
//   - dates as 2006-01-02; times as 2006-01-02T15:04:05, with as much of a
//     fraction as is not zero; instants in the column's zone with its offset (Z
//     for UTC);
//   - binary in base64 and lists as JSON.
//
// Years beyond 9999 have a sign and six digits. Nothing is quoted.
func AppendText(dst []byte, col arrow.Array, i int, o TextOptions) []byte {
	if col.IsNull(i) {
		return append(dst, o.Null...)
	}
	switch a := col.(type) {
	case *array.Boolean:
		switch {
		case a.Value(i) && o.True != "":
			return append(dst, o.True...)
		case !a.Value(i) && o.False != "":
			return append(dst, o.False...)
		}
		return strconv.AppendBool(dst, a.Value(i))
	case *array.Int32:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int64:
		return strconv.AppendInt(dst, a.Value(i), 10)
	case *array.Float64:
		return appendDouble(dst, a.Value(i))
	case *array.String:
		return append(dst, a.Value(i)...)
	case *array.Dictionary:
		return append(dst, a.Dictionary().(*array.String).Value(int(factorCodes(a)[i]))...)
	case *array.Date32:
		return appendDate(dst, int64(a.Value(i)))
	case *array.Timestamp:
		return appendTime(dst, int64(a.Value(i)), a.DataType().(*arrow.TimestampType).TimeZone)
	case *array.Binary:
		return base64.StdEncoding.AppendEncode(dst, a.Value(i))
	case *array.List:
		return appendJSONList(dst, a, i)
	}
	return append(dst, col.ValueStr(i)...)
}

// appendDouble writes v as ECMAScript and encoding/json do, and NaN, Inf, -Inf.
func appendDouble(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	}
	if x := math.Abs(v); x != 0 && (x < 1e-6 || x >= 1e21) {
		dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
		if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 is e-9
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

const (
	microsPerSecond = 1_000_000
	secondsPerDay   = 86400
)

// appendTime writes microseconds since 1970. In a zone whose offset has seconds
// (local mean times before about 1900), and in an unknown one, the instant is
// given in UTC.
func appendTime(dst []byte, us int64, zone string) []byte {
	sec, frac := floorDiv(us, microsPerSecond)
	offset := 0
	if zone != "" && zone != "UTC" {
		if l, err := loadZone(zone); err == nil {
			if _, off := time.Unix(sec, 0).In(l).Zone(); off%60 == 0 {
				offset = off
			}
		}
	}
	days, s := floorDiv(sec+int64(offset), secondsPerDay)
	dst = appendDate(dst, days)
	dst = append(dst, 'T')
	dst = append2(dst, int(s/3600))
	dst = append(dst, ':')
	dst = append2(dst, int(s/60%60))
	dst = append(dst, ':')
	dst = append2(dst, int(s%60))
	if frac != 0 {
		dst = append(dst, '.')
		for unit := int64(100000); frac > 0; unit /= 10 {
			dst = append(dst, byte('0'+frac/unit))
			frac %= unit
		}
	}
	switch {
	case zone == "":
		return dst
	case offset == 0:
		return append(dst, 'Z')
	case offset < 0:
		dst, offset = append(dst, '-'), -offset
	default:
		dst = append(dst, '+')
	}
	dst = append2(dst, offset/3600)
	dst = append(dst, ':')
	return append2(dst, offset/60%60)
}

func append2(dst []byte, v int) []byte { return append(dst, byte('0'+v/10), byte('0'+v%10)) }

func appendDate(dst []byte, days int64) []byte {
	y, m, d := civil(days)
	if y < 0 || y > 9999 {
		sign := byte('+')
		if y < 0 {
			sign, y = '-', -y
		}
		dst = append(dst, sign)
		for unit := int64(100000); unit > 9999; unit /= 10 {
			if y < unit {
				dst = append(dst, '0')
			}
		}
		if y < 10000 {
			dst = append2(append2(dst, int(y/100)), int(y%100))
		} else {
			dst = strconv.AppendInt(dst, y, 10)
		}
	} else {
		dst = append2(append2(dst, int(y/100)), int(y%100))
	}
	dst = append2(append(dst, '-'), m)
	return append2(append(dst, '-'), d)
}

// floorDiv is a/b rounded down, with the remainder in [0, b).
func floorDiv(a, b int64) (q, r int64) {
	q, r = a/b, a%b
	if r < 0 {
		q, r = q-1, r+b
	}
	return q, r
}

// civil is the proleptic Gregorian date of a number of days since 1970-01-01
// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
func civil(days int64) (y int64, m, d int) {
	era, doe := floorDiv(days+719468, 146097)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy - (153*mp+2)/5 + 1)
	m = int(mp + 3)
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

// daysOf is the inverse of civil (days_from_civil).
func daysOf(y int64, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era, yoe := floorDiv(y, 400)
	doy := int64((153*(m-3)+2)/5 + d - 1)
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}
