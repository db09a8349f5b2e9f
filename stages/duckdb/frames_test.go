//go:build cgo

package duckdb

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, o Options) *DB {
	t.Helper()
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func schema(fields ...string) *frame.Schema {
	s := make([]arrow.Field, 0, len(fields))
	for _, f := range fields {
		name, kind, _ := strings.Cut(f, " ")
		field, err := frame.ParseType(kind)
		if err != nil {
			panic(err)
		}
		field.Name = name
		s = append(s, field)
	}
	return arrow.NewSchema(s, nil)
}

// everyType has a column of each type of frames.
var everyType = schema("bool bool", "int32 int32", "int64 int64", "double double", "string string", "json json",
	"factor factor", "ordered ordered", "date date", "instant timestamp[America/New_York]", "wall timestamp",
	"difftime difftime[mins]", "hms hms", "binary binary",
	"bools list<bool>", "ints list<int32>", "longs list<int64>", "doubles list<double>", "strings list<string>",
	"dates list<date>", "instants list<timestamp[UTC]>")

var texts = []string{"", "a", "twelve bytes", "thirteen byte", "Zürich", "日本語の文字列です", "nul\x00in it", strings.Repeat("long ", 100), "🙂"}

// random is a frame of n rows of random values, a part of them null.
func random(r *rand.Rand, s *frame.Schema, n int, nulls float64) frame.Frame {
	b := frame.NewBuilderSize(s, n)
	for i := range s.NumFields() {
		c := b.Column(i)
		for range n {
			randomValue(r, c, frame.KindOf(c.Field()), nulls)
		}
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

func randomValue(r *rand.Rand, c *frame.Column, kind frame.Kind, nulls float64) {
	if r.Float64() < nulls {
		c.AppendNull()
		return
	}
	switch kind {
	case frame.KindBool:
		c.AppendBool(r.IntN(2) == 0)
	case frame.KindInt32:
		c.AppendInt32([]int32{0, 1, -1, math.MaxInt32, math.MinInt32 + 1, int32(r.Uint32())}[r.IntN(6)])
	case frame.KindDate:
		c.AppendInt32(int32(r.IntN(2e6) - 1e6))
	case frame.KindInt64:
		c.AppendInt64([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, int64(r.Uint64())}[r.IntN(6)])
	case frame.KindTimestamp, frame.KindDatetime:
		c.AppendInt64(r.Int64N(4e15) - 1e15)
	case frame.KindDouble, frame.KindDifftime:
		c.AppendDouble([]float64{0, math.Copysign(0, -1), 1.5, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, r.NormFloat64()}[r.IntN(8)])
	case frame.KindString, frame.KindBinary, frame.KindFactor:
		c.AppendString(texts[r.IntN(len(texts))])
	case frame.KindJSON:
		c.AppendString(`{"a":[1,null]}`)
	case frame.KindList:
		for range r.IntN(4) {
			randomValue(r, c.Child(), frame.KindOf(c.Child().Field()), nulls)
		}
		c.AppendList()
	default:
		panic(kind)
	}
}

// plain is a column as SQL gives it back: text for a factor, no zone but UTC.
func plain(a arrow.Array) arrow.Array {
	switch a := a.(type) {
	case *array.Dictionary:
		b := array.NewStringBuilder(frame.Allocator)
		levels := a.Dictionary().(*array.String)
		for i := range a.Len() {
			if a.IsNull(i) {
				b.AppendNull()
			} else {
				b.Append(levels.Value(a.GetValueIndex(i)))
			}
		}
		return b.NewArray()
	case *array.Timestamp:
		if a.DataType().(*arrow.TimestampType).TimeZone != "" {
			d := a.Data()
			t := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
			return array.MakeFromData(array.NewData(t, a.Len(), d.Buffers(), nil, a.NullN(), d.Offset()))
		}
	}
	return a
}

// same compares columns, those that may hold NaN by what their values print.
func same(t *testing.T, name string, got, want arrow.Array) {
	t.Helper()
	if !arrow.TypeEqual(got.DataType(), want.DataType()) {
		t.Fatalf("%s: type %v, want %v", name, got.DataType(), want.DataType())
	}
	if got.Len() != want.Len() || got.NullN() != want.NullN() {
		t.Fatalf("%s: %d rows, %d null; want %d, %d", name, got.Len(), got.NullN(), want.Len(), want.NullN())
	}
	if array.Equal(got, want) {
		return
	}
	for i := range want.Len() {
		if got.IsNull(i) != want.IsNull(i) || got.ValueStr(i) != want.ValueStr(i) {
			t.Fatalf("%s: row %d: %s, want %s", name, i, got.ValueStr(i), want.ValueStr(i))
		}
	}
}

// numbers is a frame of rows i, i%groups, of which i begins at first.
func numbers(first, n, groups int) frame.Frame {
	b := frame.NewBuilderSize(schema("i int64", "g int32", "s string"), n)
	for i := first; i < first+n; i++ {
		b.Column(0).AppendInt64(int64(i))
		b.Column(1).AppendInt32(int32(i % groups))
		b.Column(2).AppendString(texts[i%7])
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}
