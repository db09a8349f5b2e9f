package sinks

import (
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// typed is a field with metadata given in pairs.
func typed(name string, t arrow.DataType, meta ...string) arrow.Field {
	f := arrow.Field{Name: name, Type: t, Nullable: true}
	if len(meta) > 0 {
		m := map[string]string{}
		for i := 0; i < len(meta); i += 2 {
			m[meta[i]] = meta[i+1]
		}
		f.Metadata = arrow.MetadataFrom(m)
	}
	return f
}

// zoned is 2024-03-10 07:30:00.123456 UTC, a local time just after a change of clocks in New York.
var zoned = time.Date(2024, 3, 10, 7, 30, 0, 123456000, time.UTC).UnixMicro()

// allTypes is a frame of every type that frames have, in five rows: two of
// values, one of odd values, one of NA, one of empty things.
func allTypes(t testing.TB) frame.Frame {
	t.Helper()
	list := frame.ListType(typed("item", arrow.PrimitiveTypes.Float64))
	words := frame.ListType(typed("item", arrow.BinaryTypes.String))
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
		typed("zz_bool", arrow.FixedWidthTypes.Boolean), // first, though last by name
		typed("int32", arrow.PrimitiveTypes.Int32),
		typed("int64", arrow.PrimitiveTypes.Int64),
		typed("double", arrow.PrimitiveTypes.Float64),
		typed("string", arrow.BinaryTypes.String),
		typed("factor", frame.FactorType(false)),
		typed("ordered", frame.FactorType(true), frame.MetaLevels, `["low","mid","high"]`),
		typed("date", arrow.FixedWidthTypes.Date32),
		typed("instant", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "America/New_York"}, frame.MetaTimezone, "America/New_York"),
		typed("wall", &arrow.TimestampType{Unit: arrow.Microsecond}),
		typed("span", arrow.PrimitiveTypes.Float64, frame.MetaR, "difftime", frame.MetaUnits, "mins"),
		typed("numbers", list),
		typed("words", words),
		typed("raw", arrow.BinaryTypes.Binary),
		typed("json", arrow.BinaryTypes.String, frame.MetaJSON, "1"),
	}, nil))
	at := map[string]int{}
	for i, f := range b.Schema().Fields() {
		at[f.Name] = i
	}
	col := func(name string) *frame.Column { return b.Column(at[name]) }
	row := func(v bool, i32 int32, i64 int64, d float64, s, f, o string, days int32, us int64, span float64, ns []float64, ws []string, raw, json string) {
		col("zz_bool").AppendBool(v)
		col("int32").AppendInt32(i32)
		col("int64").AppendInt64(i64)
		col("double").AppendDouble(d)
		col("string").AppendString(s)
		col("factor").AppendString(f)
		col("ordered").AppendString(o)
		col("date").AppendInt32(days)
		col("instant").AppendInt64(us)
		col("wall").AppendInt64(us)
		col("span").AppendDouble(span)
		for _, n := range ns {
			if n < 0 {
				col("numbers").Child().AppendNull()
			} else {
				col("numbers").Child().AppendDouble(n)
			}
		}
		col("numbers").AppendList()
		for _, w := range ws {
			col("words").Child().AppendString(w)
		}
		col("words").AppendList()
		col("raw").AppendBytes([]byte(raw))
		col("json").AppendString(json)
	}
	row(true, 1, 1<<53+1, 1.5, "plain", "b", "mid", 19792, zoned, 90, []float64{1, 2}, []string{"a", "b"}, "\x00\xff", `{"a":[1,null]}`)
	row(false, math.MaxInt32, math.MinInt64+1, -0.25, "übung, \"q\"\nline", "a", "low", -1, -1, 0.5, []float64{-1, 3}, []string{"ö"}, "x", `"text"`)
	row(true, -1, -1, math.NaN(), " ", "b", "high", 0, 0, 0, []float64{4}, []string{""}, " ", `0`)
	for i := range b.Schema().NumFields() {
		b.Column(i).AppendNull()
	}
	row(false, 0, 0, math.Inf(-1), "", "", "low", 0, 0, -1, nil, nil, "", `{}`)
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}
