package frame

import (
	"fmt"
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"pgregory.net/rapid"
)

var propertyTypes = []string{"bool", "int32", "int64", "double", "string", "json", "factor", "ordered", "date",
	"timestamp[UTC]", "timestamp[America/New_York]", "timestamp", "difftime[hours]", "hms", "binary",
	"list<bool>", "list<int32>", "list<int64>", "list<double>", "list<string>", "list<date>", "list<timestamp[UTC]>"}

// drawValue appends a random value that R can hold.
func drawValue(t *rapid.T, c *Column, o ROptions) {
	if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		c.AppendNull()
		return
	}
	switch c.kind {
	case KindBool:
		c.AppendBool(rapid.Bool().Draw(t, "bool"))
	case KindInt32:
		c.AppendInt32(rapid.Int32Min(math.MinInt32+1).Draw(t, "int32"))
	case KindInt64:
		if o.Int64 == Int64Bit64 {
			c.AppendInt64(rapid.Int64Min(math.MinInt64+1).Draw(t, "int64"))
		} else {
			c.AppendInt64(rapid.Int64Range(-maxExact, maxExact).Draw(t, "int64"))
		}
	case KindDouble, KindDifftime:
		c.AppendDouble(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)})).Draw(t, "double"))
	case KindString, KindFactor:
		c.AppendString(rapid.StringMatching(`[^\x00]{0,12}`).Draw(t, "string"))
	case KindJSON:
		c.AppendBytes(AppendQuoted(nil, rapid.String().Draw(t, "json")))
	case KindDate:
		c.AppendInt32(rapid.Int32().Draw(t, "date"))
	case KindTimestamp, KindDatetime:
		c.AppendInt64(rapid.Int64Range(-maxExactMicros, maxExactMicros).Draw(t, "time"))
	case KindBinary:
		c.AppendBytes(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "binary"))
	case KindList:
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			drawValue(t, c.child, o)
		}
		c.AppendList()
	}
}

// drawFrame makes a random frame, and a random slice of it.
func drawFrame(t *rapid.T, o ROptions) Frame {
	types := rapid.SliceOfN(rapid.SampledFrom(propertyTypes), 0, 6).Draw(t, "types")
	fields := make([]arrow.Field, len(types))
	for i, typ := range types {
		f, err := ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		f.Name = fmt.Sprintf("%d%s", i, rapid.StringMatching(`[a-zé ]{0,5}`).Draw(t, "name"))
		fields[i] = f
	}
	b := NewBuilderSize(arrow.NewSchema(fields, nil), 4)
	n := rapid.IntRange(0, 20).Draw(t, "rows")
	for i := range fields {
		for range n {
			drawValue(t, b.Column(i), o)
		}
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	rows := int(f.NumRows())
	i := rapid.IntRange(0, rows).Draw(t, "from")
	return Slice(f, i, rapid.IntRange(i, rows).Draw(t, "to"))
}

// R's formats keep every frame, also by way of R itself: what R has read and
// written again is identical, and R finds it to be a data frame of that size.
func TestRoundTripProperty(t *testing.T) {
	throughR := 0
	rapid.Check(t, func(rt *rapid.T) {
		o := ROptions{Int64: rapid.SampledFrom([]Int64Mode{Int64Double, Int64Bit64}).Draw(rt, "int64")}
		f := drawFrame(rt, o)
		item, err := AppendR(nil, f, o)
		if err != nil {
			rt.Fatal(err)
		}
		if throughR++; throughR%4 == 0 {
			item = evalR(t, fmt.Sprintf(`{ stopifnot(is.data.frame(df), identical(dim(df), c(%dL, %dL))); str(df, give.attr = FALSE, file = nullfile()); df }`,
				f.NumRows(), f.NumCols()), item)
		}
		got, err := FromR(item)
		if err != nil {
			rt.Fatal(err)
		}
		back, err := Conform(Restore(got, f.Schema()), f.Schema())
		if err != nil {
			rt.Fatal(err)
		}
		if d := Diff(f, back); d != "" {
			rt.Fatal(d)
		}
	})
}

// Text is read back to the same value, for every kind but those that have none.
func TestTextProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFrame(rt, ROptions{Int64: Int64Bit64})
		for i := range int(f.NumCols()) {
			field := f.Schema().Field(i)
			if KindOf(field) == KindList {
				continue
			}
			c := NewColumn(field, 1)
			for k := range int(f.NumRows()) {
				text := AppendText(nil, f.Column(i), k, TextOptions{})
				if f.Column(i).IsNull(k) {
					c.AppendNull()
				} else if !c.ParseText(text) {
					rt.Fatalf("%s: %q", TypeName(field), text)
				}
			}
			a, err := c.Array()
			if err != nil {
				rt.Fatal(err)
			}
			if d := diffArray(arrow.Field{}, f.Column(i), a); d != "" && TypeName(field) != "ordered" {
				rt.Fatal(TypeName(field), d)
			}
		}
	})
}

// Whatever bytes arrive, FromR answers with a frame that holds together, or an error.
func FuzzFromR(f *testing.F) {
	for _, typ := range propertyTypes {
		field, err := ParseType(typ)
		if err != nil {
			f.Fatal(err)
		}
		field.Name = "x"
		b := NewBuilderSize(arrow.NewSchema([]arrow.Field{field}, nil), 3)
		c := b.Column(0)
		c.AppendNulls(2)
		switch c.kind {
		case KindString, KindFactor, KindJSON, KindBinary:
			c.AppendString("12")
		case KindList:
			c.child.AppendNull()
			c.AppendList()
		default:
			c.ParseText([]byte("1"))
		}
		fr, err := b.Frame()
		if err != nil {
			f.Fatal(err)
		}
		item, err := AppendR(nil, fr, ROptions{Int64: Int64Bit64})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(item)
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		fr, err := FromR(item)
		if err != nil {
			return
		}
		Bytes(fr)
		for i := range int(fr.NumCols()) {
			for k := range int(fr.NumRows()) {
				AppendText(nil, fr.Column(i), k, TextOptions{})
				AppendJSON(nil, fr.Schema().Field(i), fr.Column(i), k)
			}
		}
		again, err := AppendR(nil, fr, ROptions{Int64: Int64Bit64})
		if err != nil {
			return // such as text with a NUL, which only R refuses
		}
		back, err := FromR(again)
		if err != nil {
			t.Fatal(err)
		}
		if back, err = Conform(back, fr.Schema()); err != nil {
			t.Fatal(err)
		}
		if d := Diff(fr, back); d != "" {
			t.Fatal(d)
		}
	})
}
