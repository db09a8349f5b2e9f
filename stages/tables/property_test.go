package tables

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// keyTypes are types of columns that can be joined with each other.
var keyTypes = [][2]string{
	{"int32", "int32"}, {"int32", "int64"}, {"int64", "int32"}, {"int64", "double"}, {"double", "int64"}, {"double", "double"},
	{"string", "string"}, {"string", "factor"}, {"factor", "string"}, {"factor", "ordered"}, {"json", "string"},
	{"date", "date"}, {"timestamp", "timestamp"}, {"timestamp[UTC]", "timestamp[Europe/Berlin]"},
	{"bool", "bool"}, {"binary", "binary"}, {"difftime[mins]", "difftime[mins]"}, {"hms", "hms"},
}

var (
	someInts    = []int64{0, 1, 2, -1, 1 << 53, 1<<53 + 1}
	someDoubles = []float64{0, math.Copysign(0, -1), 1, 1.5, 2, math.NaN(), math.Inf(1), -1, 1 << 53, 1 << 63, -1 << 63}
	someTexts   = []string{"", "a", "b", "ab", "Zürich"}
)

func drawKey(t *rapid.T, c *frame.Column) {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		c.AppendNull()
		return
	}
	switch frame.KindOf(c.Field()) {
	case frame.KindBool:
		c.AppendBool(rapid.Bool().Draw(t, "bool"))
	case frame.KindInt32, frame.KindDate:
		c.AppendInt32(int32(rapid.SampledFrom(someInts[:4]).Draw(t, "int")))
	case frame.KindInt64, frame.KindTimestamp, frame.KindDatetime:
		c.AppendInt64(rapid.SampledFrom(someInts).Draw(t, "int"))
	case frame.KindDouble, frame.KindDifftime:
		c.AppendDouble(rapid.SampledFrom(someDoubles).Draw(t, "double"))
	default:
		c.AppendString(rapid.SampledFrom(someTexts).Draw(t, "text"))
	}
}

// drawTable has n rows of key columns and one that counts from 0, and shows a
// part of them.
func drawTable(t *rapid.T, side int, types [][2]string, n int) frame.Frame {
	var fields []arrow.Field
	for i, pair := range types {
		f, err := frame.ParseType(pair[side])
		if err != nil {
			t.Fatal(err)
		}
		f.Name = fmt.Sprintf("k%d", i)
		fields = append(fields, f)
	}
	row, _ := frame.ParseType("int32")
	row.Name = []string{"row", "found"}[side]
	b := frame.NewBuilder(arrow.NewSchema(append(fields, row), nil))
	for i := range n {
		for k := range fields {
			drawKey(t, b.Column(k))
		}
		b.Column(len(fields)).AppendInt32(int32(i))
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	from := rapid.IntRange(0, n).Draw(t, "from")
	return frame.Slice(f, from, rapid.IntRange(from, n).Draw(t, "to"))
}

// valueOf is a value that is equal for equal keys, found in another way than
// the join does it; nil is missing.
func valueOf(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Int32:
		return new(big.Rat).SetInt64(int64(a.Value(i))).String()
	case *array.Int64:
		return new(big.Rat).SetInt64(a.Value(i)).String()
	case *array.Timestamp:
		return int64(a.Value(i))
	case *array.Float64:
		v := a.Value(i)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		return new(big.Rat).SetFloat64(v).String()
	}
	return string(frame.AppendText(nil, a, i, frame.TextOptions{}))
}

func keyOf(f frame.Frame, keys, row int) []any {
	var key []any
	for k := range keys {
		v := valueOf(f.Column(k), row)
		if v == nil {
			return nil
		}
		key = append(key, v)
	}
	return key
}

// nested is the join by two loops: the numbers of the rows of both sides, and -1.
func nested(ours, dataset frame.Frame, keys int, how, duplicates string) []string {
	out := []string{}
	number := func(f frame.Frame, row int) string {
		return fmt.Sprint(f.Column(keys).(*array.Int32).Value(row))
	}
	for i := range int(ours.NumRows()) {
		key := keyOf(ours, keys, i)
		matched := 0
		for j := range int(dataset.NumRows()) {
			if key == nil || !slices.Equal(key, keyOf(dataset, keys, j)) {
				continue
			}
			matched++
			if how == "inner" || how == "left" {
				if matched == 1 || duplicates == "all" {
					out = append(out, number(ours, i)+" "+number(dataset, j))
				}
			}
		}
		switch {
		case how == "left" && matched == 0:
			out = append(out, number(ours, i)+" NA")
		case how == "semi" && matched > 0, how == "anti" && matched == 0:
			out = append(out, number(ours, i))
		}
	}
	return out
}

func TestJoinIsANestedLoop(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(keyTypes), 1, 3).Draw(rt, "types")
		dataset := drawTable(rt, 1, types, rapid.IntRange(0, 12).Draw(rt, "rows of the dataset"))
		c := &Join{
			Dataset: from(dataset), Columns: []string{"found"},
			How:        rapid.SampledFrom([]string{"left", "inner", "semi", "anti"}).Draw(rt, "how"),
			Duplicates: rapid.SampledFrom([]string{"first", "all"}).Draw(rt, "duplicates"),
		}
		for i := range types {
			c.On = append(c.On, configs.Pair{Name: fmt.Sprintf("k%d", i), Value: fmt.Sprintf("k%d", i)})
		}
		env := testEnv(t, "")
		var frames []frame.Frame
		want := []string{}
		for range rapid.IntRange(1, 3).Draw(rt, "batches") {
			f := drawTable(rt, 0, types, rapid.IntRange(0, 12).Draw(rt, "rows"))
			frames = append(frames, f)
			want = append(want, nested(f, dataset, len(types), c.How, c.Duplicates)...)
		}
		got, err := passed(t, env, c, frames...)
		if err != nil {
			rt.Fatal(err)
		}
		kept := []string{"row", "found"}
		if !c.adds() {
			kept = kept[:1]
		}
		out, err := frame.Select(whole(t, got), kept)
		if err != nil {
			rt.Fatal(err)
		}
		if text := lines(out); !slices.Equal(text, want) {
			rt.Fatalf("%s, duplicates: %s\n got %q\nwant %q", c.How, c.Duplicates, text, want)
		}
		p, err := c.PlanWith(t.Context(), env, frames[0].Schema())
		if err != nil || !p.Equal(got[0].Value.Schema()) {
			rt.Fatalf("planned %v, got %v (%v)", p, got[0].Value.Schema(), err)
		}
	})
}
