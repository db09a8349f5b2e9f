package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/rdata"
)

// rcolumn writes one column, or the elements of a list column, as R vectors.
type rcolumn struct {
	e     *rdata.Encoder
	o     ROptions
	field arrow.Field
	row   int  // within a list column: the row
	list  bool // within a list column
}

func (c *rcolumn) fail(i int, reason, hint string) error {
	if c.list {
		i = c.row
	}
	return &ValueError{Column: c.field.Name, Row: i, Reason: reason, Hint: hint}
}

// vector writes elements [lo, hi) of a.
func (c *rcolumn) vector(a arrow.Array, lo, hi int) error {
	switch a := a.(type) {
	case *array.Boolean:
		c.logical(a, lo, hi)
		return nil
	case *array.Int32:
		return c.integer(a, lo, hi)
	case *array.Int64:
		return c.int64(a, lo, hi)
	case *array.Float64:
		c.double(a, lo, hi)
		return nil
	case *array.String:
		return c.character(a, lo, hi)
	case *array.Dictionary:
		if KindOf(c.field) == KindFactor {
			return c.factor(a, lo, hi)
		}
	case *array.Date32:
		c.date(a, lo, hi)
		return nil
	case *array.Timestamp:
		if k := KindOf(c.field); k == KindTimestamp || k == KindDatetime {
			return c.time(a, lo, hi)
		}
	case *array.Binary:
		c.e.VectorHead(rdata.KindList, hi-lo, false, false)
		for i := lo; i < hi; i++ {
			if a.IsNull(i) {
				c.e.Null()
				continue
			}
			v := a.Value(i)
			c.e.VectorHead(rdata.KindRaw, len(v), false, false)
			c.e.Bytes(v)
		}
		return nil
	case *array.List:
		elem := rcolumn{e: c.e, o: c.o, field: a.DataType().(*arrow.ListType).ElemField(), list: true}
		elem.field.Name = c.field.Name
		c.e.VectorHead(rdata.KindList, hi-lo, false, false)
		for i := lo; i < hi; i++ {
			if a.IsNull(i) {
				c.e.Null()
				continue
			}
			elem.row = i
			from, to := a.ValueOffsets(i)
			if err := elem.vector(a.ListValues(), int(from), int(to)); err != nil {
				return err
			}
		}
		return nil
	}
	return c.fail(-1, "R has no counterpart of "+c.field.Type.String(), "convert it to int32, int64, double or string in a stage before, or drop it")
}

func (c *rcolumn) logical(a *array.Boolean, lo, hi int) {
	c.e.VectorHead(rdata.KindLogical, hi-lo, false, false)
	b := c.e.Grow(4 * (hi - lo))
	if hi == lo {
		return
	}
	bits := a.Data().Buffers()[1].Bytes()
	for i, k := 0, a.Data().Offset()+lo; i < len(b); i, k = i+4, k+1 {
		binary.LittleEndian.PutUint32(b[i:], uint32(bits[k>>3]>>(k&7)&1))
	}
	putNA(b, a, lo, hi, rdata.NAInteger)
}

func (c *rcolumn) integer(a *array.Int32, lo, hi int) error {
	v := a.Int32Values()[lo:hi]
	c.e.VectorHead(rdata.KindInteger, len(v), false, false)
	start := len(c.e.Buf)
	c.e.Int32s(v)
	least := int32(0)
	for _, x := range v {
		least = min(least, x)
	}
	if least == math.MinInt32 {
		for i, x := range v {
			if x == math.MinInt32 && a.IsValid(lo+i) {
				return c.fail(lo+i, "-2147483648 cannot be an R integer, where it means NA", "make the column int64 or double")
			}
		}
	}
	putNA(c.e.Buf[start:], a, lo, hi, rdata.NAInteger)
	return nil
}

func (c *rcolumn) int64(a *array.Int64, lo, hi int) error {
	v := a.Int64Values()[lo:hi]
	if c.o.Int64 == Int64Bit64 {
		c.e.VectorHead(rdata.KindDouble, len(v), true, true)
		start := len(c.e.Buf)
		c.e.Int64s(v)
		for i, x := range v {
			if x == rdata.NAInteger64 && a.IsValid(lo+i) {
				return c.fail(lo+i, "-9223372036854775808 cannot be an integer64, where it means NA", "make it a string")
			}
		}
		putNA(c.e.Buf[start:], a, lo, hi, rdata.NAInteger64)
		c.attribute("class", "integer64")
		c.e.EndAttrs()
		return nil
	}
	c.e.VectorHead(rdata.KindDouble, len(v), false, false)
	b := c.e.Grow(8 * len(v))
	beyond := false
	for i, x := range v {
		beyond = beyond || x > maxExact || x < -maxExact
		binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(float64(x)))
	}
	if beyond {
		for i, x := range v {
			if (x > maxExact || x < -maxExact) && a.IsValid(lo+i) {
				return c.fail(lo+i, fmt.Sprintf("%d is beyond 2^53, which a double does not hold exactly", x),
					"set int64: integer64 (needs the R package bit64), or make it a string")
			}
		}
	}
	putNA(b, a, lo, hi, naBits)
	return nil
}

func (c *rcolumn) double(a *array.Float64, lo, hi int) {
	difftime := KindOf(c.field) == KindDifftime
	c.e.VectorHead(rdata.KindDouble, hi-lo, difftime, difftime)
	start := len(c.e.Buf)
	c.e.Float64s(a.Float64Values()[lo:hi])
	putNA(c.e.Buf[start:], a, lo, hi, naBits)
	if !difftime {
		return
	}
	if meta(c.field, MetaR) == "hms" {
		c.e.Attr("class")
		c.e.Strs("hms", "difftime")
	} else {
		c.attribute("class", "difftime")
	}
	units := meta(c.field, MetaUnits)
	if difftimeUnits[units] == 0 {
		units = "secs"
	}
	c.attribute("units", units)
	c.e.EndAttrs()
}

func (c *rcolumn) character(a *array.String, lo, hi int) error {
	c.e.VectorHead(rdata.KindCharacter, hi-lo, false, false)
	if hi == lo {
		return nil
	}
	var valid []byte
	if a.NullN() > 0 {
		valid = a.NullBitmapBytes()
	}
	i, err := c.e.StrColumn(a.ValueOffsets()[lo:hi+1], textOf(a), valid, a.Data().Offset()+lo)
	if err != nil {
		return c.textError(lo+i, err)
	}
	return nil
}

func (c *rcolumn) textError(i int, err error) error {
	hint := "make it valid UTF-8"
	if errors.Is(err, rdata.ErrNUL) {
		hint = "remove it, or make the column binary"
	}
	return c.fail(i, err.Error(), hint)
}

func (c *rcolumn) factor(a *array.Dictionary, lo, hi int) error {
	c.e.VectorHead(rdata.KindInteger, hi-lo, true, true)
	b := c.e.Grow(4 * (hi - lo))
	if hi > lo {
		for i, k := range factorCodes(a)[lo:hi] {
			binary.LittleEndian.PutUint32(b[4*i:], uint32(k+1))
		}
	}
	putNA(b, a, lo, hi, rdata.NAInteger)
	c.e.Attr("levels")
	levels := rcolumn{e: c.e, field: c.field, list: true, row: -1}
	table := a.Dictionary().(*array.String)
	if err := levels.character(table, 0, table.Len()); err != nil {
		return err
	}
	if a.DataType().(*arrow.DictionaryType).Ordered {
		c.e.Attr("class")
		c.e.Strs("ordered", "factor")
	} else {
		c.attribute("class", "factor")
	}
	c.e.EndAttrs()
	return nil
}

func (c *rcolumn) date(a *array.Date32, lo, hi int) {
	c.e.VectorHead(rdata.KindDouble, hi-lo, true, true)
	b := c.e.Grow(8 * (hi - lo))
	for i, d := range a.Date32Values()[lo:hi] {
		binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(float64(d)))
	}
	putNA(b, a, lo, hi, naBits)
	c.attribute("class", "Date")
	c.e.EndAttrs()
}

func (c *rcolumn) time(a *array.Timestamp, lo, hi int) error {
	c.e.VectorHead(rdata.KindDouble, hi-lo, true, true)
	b := c.e.Grow(8 * (hi - lo))
	for i, t := range a.TimestampValues()[lo:hi] {
		sec := float64(t) / microsPerSecond
		if (t > maxExactMicros || t < -maxExactMicros) && a.IsValid(lo+i) {
			if back, ok := microsOf(sec); !ok || back != int64(t) {
				return c.fail(lo+i, string(appendTime(nil, int64(t), ""))+" is so far away that R cannot tell its microseconds",
					"round it to seconds")
			}
		}
		binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(sec))
	}
	putNA(b, a, lo, hi, naBits)
	c.e.Attr("class")
	c.e.Strs("POSIXct", "POSIXt")
	zone := "UTC" // of a wall clock time too
	if tz := a.DataType().(*arrow.TimestampType).TimeZone; tz != "" {
		zone = tz
		if hasMeta(c.field, MetaTimezone) && isUTC(c.field) {
			zone = meta(c.field, MetaTimezone)
		}
	}
	c.e.Attr("tzone")
	c.e.VectorHead(rdata.KindCharacter, 1, false, false)
	if err := c.e.Str(textBytes(zone)); err != nil {
		return c.fail(-1, "time zone: "+err.Error(), "")
	}
	c.e.EndAttrs()
	return nil
}

// maxExactMicros is the time, in microseconds from 1970, up to which a double
// of seconds tells every microsecond: 2^33 s, in the year 2242.
const maxExactMicros = microsPerSecond << 33

// microsOf rounds seconds to microseconds; never truncate, since the double
// nearest to 0.000001 may lie below it.
func microsOf(sec float64) (int64, bool) {
	us := math.RoundToEven(sec * microsPerSecond)
	if !(math.Abs(us) < 1<<63) {
		return 0, false
	}
	return int64(us), true
}

// attribute writes one that is a single string of this program's own.
func (c *rcolumn) attribute(name, value string) {
	c.e.Attr(name)
	c.e.VectorHead(rdata.KindCharacter, 1, false, false)
	if err := c.e.Str(textBytes(value)); err != nil {
		panic("frame: attribute " + name + ": " + err.Error())
	}
}

func textBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

var naBits = int64(math.Float64bits(rdata.NAReal))

// putNA overwrites the missing ones of a's elements [lo, hi), whose encoding is b.
func putNA[T int32 | int64](b []byte, a arrow.Array, lo, hi int, na T) {
	if a.NullN() == 0 {
		return
	}
	valid := a.NullBitmapBytes()
	for i, k := lo, a.Data().Offset()+lo; i < hi; i, k = i+1, k+1 {
		if valid[k>>3]>>(k&7)&1 != 0 {
			continue
		}
		if unsafe.Sizeof(na) == 4 {
			binary.LittleEndian.PutUint32(b[4*(i-lo):], uint32(na))
		} else {
			binary.LittleEndian.PutUint64(b[8*(i-lo):], uint64(na))
		}
	}
}
