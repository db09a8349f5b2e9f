package frame

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// scalar finds the column that an array of single values becomes, and a
// function that appends one of its values or says why it cannot.
func scalar(w arrow.Field, a arrow.Array) (*Column, func(i int) string, error) {
	to := func(t arrow.DataType) *Column {
		w.Type = t
		return NewColumn(w, a.Len())
	}
	int32s, int64s, double := arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64
	switch a := a.(type) {
	case *array.Int8:
		c := to(int32s)
		return c, func(i int) string { c.AppendInt32(int32(a.Value(i))); return "" }, nil
	case *array.Int16:
		c := to(int32s)
		return c, func(i int) string { c.AppendInt32(int32(a.Value(i))); return "" }, nil
	case *array.Uint8:
		c := to(int32s)
		return c, func(i int) string { c.AppendInt32(int32(a.Value(i))); return "" }, nil
	case *array.Uint16:
		c := to(int32s)
		return c, func(i int) string { c.AppendInt32(int32(a.Value(i))); return "" }, nil
	case *array.Uint32:
		c := to(int64s)
		return c, func(i int) string { c.AppendInt64(int64(a.Value(i))); return "" }, nil
	case *array.Uint64:
		c := to(int64s)
		return c, func(i int) string {
			if a.Value(i) > math.MaxInt64 {
				return fmt.Sprintf("%d is beyond int64", a.Value(i))
			}
			c.AppendInt64(int64(a.Value(i)))
			return ""
		}, nil
	case *array.Float16:
		c := to(double)
		return c, func(i int) string { c.AppendDouble(float64(a.Value(i).Float32())); return "" }, nil
	case *array.Float32:
		c := to(double)
		return c, func(i int) string { c.AppendDouble(float64(a.Value(i))); return "" }, nil
	case array.StringLike:
		c := to(arrow.BinaryTypes.String)
		return c, func(i int) string { c.AppendString(a.Value(i)); return "" }, nil
	case interface{ Value(int) []byte }: // large, view and fixed-size
		c := to(arrow.BinaryTypes.Binary)
		return c, func(i int) string { c.AppendBytes(a.Value(i)); return "" }, nil
	case *array.Date64:
		c := to(arrow.FixedWidthTypes.Date32)
		return c, func(i int) string {
			days, _ := floorDiv(int64(a.Value(i)), 1000*secondsPerDay)
			if int64(int32(days)) != days {
				return "a date that is too far away"
			}
			c.AppendInt32(int32(days))
			return ""
		}, nil
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		c := to(&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: t.TimeZone})
		return c, func(i int) string { return appendMicros(c, int64(a.Value(i)), t.Unit) }, nil
	case *array.Time32:
		unit := a.DataType().(*arrow.Time32Type).Unit
		c := spanColumn(w, "hms", a.Len())
		return c, func(i int) string { return appendSpan(c, int64(a.Value(i)), unit) }, nil
	case *array.Time64:
		unit := a.DataType().(*arrow.Time64Type).Unit
		c := spanColumn(w, "hms", a.Len())
		return c, func(i int) string { return appendSpan(c, int64(a.Value(i)), unit) }, nil
	case *array.Duration:
		unit := a.DataType().(*arrow.DurationType).Unit
		c := spanColumn(w, "difftime", a.Len())
		return c, func(i int) string { return appendSpan(c, int64(a.Value(i)), unit) }, nil
	case *array.Decimal32:
		return decimalColumn(w, a, a.Value)
	case *array.Decimal64:
		return decimalColumn(w, a, a.Value)
	case *array.Decimal128:
		return decimalColumn(w, a, a.Value)
	case *array.Decimal256:
		return decimalColumn(w, a, a.Value)
	}
	return nil, nil, fmt.Errorf("column %q: %s is not supported; convert it where it comes from, or leave it out", w.Name, a.DataType())
}

// spanColumn is a column of seconds.
func spanColumn(w arrow.Field, class string, rows int) *Column {
	f := difftimeField(class, "secs")
	f.Name = w.Name
	return NewColumn(f, rows)
}

func appendSpan(c *Column, v int64, unit arrow.TimeUnit) string {
	per := int64(1e9 / unit.Multiplier())
	sec := float64(v) / float64(per)
	if back := math.RoundToEven(sec * float64(per)); math.Abs(back) >= 1<<63 || int64(back) != v {
		return fmt.Sprintf("%d%s cannot be told exactly in seconds", v, unit)
	}
	c.AppendDouble(sec)
	return ""
}

func appendMicros(c *Column, v int64, unit arrow.TimeUnit) string {
	switch unit {
	case arrow.Nanosecond:
		us, rest := floorDiv(v, 1000)
		if rest != 0 {
			return fmt.Sprintf("%sZ has %d ns more than whole microseconds", appendTime(nil, us, ""), rest)
		}
		c.AppendInt64(us)
		return ""
	case arrow.Second, arrow.Millisecond:
		factor := int64(microsPerSecond)
		if unit == arrow.Millisecond {
			factor = 1000
		}
		if v > math.MaxInt64/factor || v < math.MinInt64/factor {
			return "a time that is too far away for microseconds"
		}
		v *= factor
	}
	c.AppendInt64(v)
	return ""
}

// decimalColumn makes int64 of decimals without fraction, double of others. The
// type alone decides which, so that it is the same for every batch.
func decimalColumn[D interface{ ToString(scale int32) string }](w arrow.Field, a arrow.Array, value func(int) D) (*Column, func(i int) string, error) {
	scale := a.DataType().(arrow.DecimalType).GetScale()
	if scale <= 0 {
		w.Type = arrow.PrimitiveTypes.Int64
		c := NewColumn(w, a.Len())
		factor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-scale)), nil)
		return c, func(i int) string {
			v, ok := new(big.Int).SetString(value(i).ToString(0), 10)
			if ok {
				v.Mul(v, factor)
			}
			if !ok || !v.IsInt64() {
				return v.String() + " is beyond int64"
			}
			c.AppendInt64(v.Int64())
			return ""
		}, nil
	}
	w.Type = arrow.PrimitiveTypes.Float64
	c := NewColumn(w, a.Len())
	return c, func(i int) string {
		s := value(i).ToString(scale)
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return err.Error()
		}
		// 15 significant digits survive a double; of more, only what is exact.
		if len(strings.TrimPrefix(value(i).ToString(0), "-")) > 15 {
			exact, _ := new(big.Rat).SetString(s)
			if exact.Cmp(new(big.Rat).SetFloat64(v)) != 0 {
				return s + " has more digits than a double tells"
			}
		}
		c.AppendDouble(v)
		return ""
	}, nil
}

// toJSON makes JSON text of nested values.
func toJSON(w arrow.Field, a arrow.Array) (arrow.Field, arrow.Array, error) {
	w.Type = arrow.BinaryTypes.String
	w = withMeta(w, MetaJSON, "1")
	c := NewColumn(w, a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			c.AppendNull()
			continue
		}
		text, err := json.Marshal(a.GetOneForMarshal(i))
		if err != nil {
			return w, nil, &ValueError{Column: w.Name, Row: i, Reason: err.Error()}
		}
		c.AppendBytes(text)
	}
	out, err := c.Array()
	return w, out, err
}
