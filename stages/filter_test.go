//go:build cgo

package stages

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// Filter against the same condition in Go, on batches that are slices. Every
// column keeps its type, levels, zone and unit, and the rows their order.
func TestFilter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	whole := sqlFrame(r, 0, 7003)
	var batches []frame.Frame
	for at := 0; at < 7003; {
		n := min(7003-at, []int{1, 5, 64, 900, 2500}[r.IntN(5)])
		batches = append(batches, frame.Slice(whole, at, at+n))
		at += n
	}
	x, y, s := whole.Column(1).(*array.Int32), whole.Column(2).(*array.Float64), whole.Column(3).(*array.String)
	f := func(where string, keep func(i int) bool) {
		t.Helper()
		out, _, err := transformed(t, &Filter{Where: where}, batches...)
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for i := range 7003 {
			if keep(i) {
				want = append(want, i)
			}
		}
		sameRows(t, joined(t, out), whole, want)
	}
	f("x IS NOT NULL AND y > 0.5", func(i int) bool {
		return x.IsValid(i) && y.IsValid(i) && !(y.Value(i) <= 0.5) // NaN is greater
	})
	f("x > 50 OR s = 'a'", func(i int) bool {
		return x.IsValid(i) && x.Value(i) > 50 || s.IsValid(i) && s.Value(i) == "a"
	})
	f("NOT (x > 50)", func(i int) bool { return x.IsValid(i) && x.Value(i) <= 50 })
	f("f IN ('Zürich', '7')", func(i int) bool {
		d := whole.Column(4).(*array.Dictionary)
		return d.IsValid(i) && strings.Contains("Zürich 7", d.ValueStr(i)) && d.ValueStr(i) != ""
	})
	f("true", func(int) bool { return true })
	f(`row % 2 = 1 -- the odd ones`, func(i int) bool { return i%2 == 1 })
}

// Where no row is left, the schema goes on, so that a sink can write it.
func TestFilterKeepsNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	out, _, err := transformed(t, &Filter{Where: "row < 0"}, sqlFrame(r, 0, 10), sqlFrame(r, 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 1 || out[0].Rows != 0 || !out[0].Value.Schema().Equal(sqlRow) {
		t.Errorf("%d batches", len(out))
	}
	out, _, err = transformed(t, &Filter{Where: "row = 15"}, sqlFrame(r, 0, 10), sqlFrame(r, 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 1 || out[0].Rows != 1 {
		t.Errorf("%d batches", len(out))
	}
}

func TestFilterPlan(t *testing.T) {
	f := func(where, want string) {
		t.Helper()
		out, err := (&Filter{Where: where}).Plan(sqlRow)
		switch {
		case want == "" && (err != nil || out != sqlRow):
			t.Errorf("%s: %v", where, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s:\n got %v\nwant %s", where, err, want)
		}
		if _, _, err := transformed(t, &Filter{Where: where}, frame.Empty(sqlRow)); want != "" && (err == nil || err.Error() != "sql: "+want) {
			t.Errorf("%s in a run: %v", where, err)
		}
	}
	f("x > 1 AND s <> ''", "")
	f("xx > 1", `column 1: there is no column "xx"; near it: "x"`)
	f("x", "the condition is of type int32, neither true nor false: compare it with something, as in x > 0")
	f("x > 1) OR (x < 0", `column 6: syntax error at or near ")"`)
	f("count(*) > 1", "column 1: an aggregate function needs all rows, and this expression sees one row at a time")

	if out, err := (&Filter{Where: "anything > 1"}).Plan(nil); out != nil || err != nil {
		t.Errorf("an unknown schema: %v, %v", out, err)
	}
	if _, err := (&Filter{Where: "x >"}).Plan(nil); err == nil || err.Error() != "column 4: syntax error at end of input" {
		t.Error(err)
	}
}

// badRows is a frame of n rows whose column s is a number but for the rows given.
func badRows(n int, bad ...int) frame.Frame {
	b := frame.NewBuilder(sqlSchema("row int64", "s string"))
	for i := range n {
		s := "12"
		for _, k := range bad {
			if i == k {
				s = "twelve"
			}
		}
		b.Column(0).AppendInt64(int64(i))
		b.Column(1).AppendString(s)
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

// Rows that make the condition fail are found, and only they are lost.
func TestFilterFailingRows(t *testing.T) {
	const where = "CAST(s AS INTEGER) > 10 AND row % 2 = 0"
	bad := []int{0, 7, 500, 501, 998}
	isBad := map[int64]bool{0: true, 7: true, 500: true, 501: true, 998: true}
	for _, mode := range []string{"skip", "dead_letter"} {
		c := &Filter{Where: where, SQLErrors: SQLErrors{OnError: mode}}
		out, rejected, err := transformed(t, c, badRows(1000), badRows(1000, bad...))
		if err != nil {
			t.Fatal(err)
		}
		if got := joined(t, out).NumRows(); got != 500+497 {
			t.Errorf("%s: %d rows are left", mode, got)
		}
		if len(rejected) != len(bad) {
			t.Fatalf("%s: %d rejected", mode, len(rejected))
		}
		for _, r := range rejected {
			row := r.Frame.Column(0).(*array.Int64).Value(0)
			if r.Frame.NumRows() != 1 || !isBad[row] || r.First != 1000+row || r.Whole || r.Drop != (mode == "skip") ||
				r.Err.Error() != "column 1: could not convert string 'twelve' to INT32 when casting from source column s" {
				t.Errorf("%s: %+v", mode, r)
			}
		}
	}
	_, _, err := transformed(t, &Filter{Where: where}, badRows(1000), badRows(1000, bad...))
	if err == nil || err.Error() != "sql: batch 2 (rows 1001-2000): column 1: could not convert string 'twelve' to INT32 when casting from source column s" {
		t.Error(err)
	}
	c := &Filter{Where: where, SQLErrors: SQLErrors{OnError: "skip", MaxFailed: &MaxFailed{Count: 3, Of: 1000}}}
	if _, _, err := transformed(t, c, badRows(1000, bad...)); err == nil || !strings.Contains(err.Error(), "max_failed allows 3") {
		t.Error(err)
	}
}

// A column that SQL cannot have is kept, as long as the condition does not use it.
func TestFilterUnknownType(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "odd", Type: arrow.PrimitiveTypes.Uint64}, {Name: "x", Type: arrow.PrimitiveTypes.Int32}}, nil)
	if _, err := (&Filter{Where: "x > 1"}).Plan(s); err != nil {
		t.Error(err)
	}
	if _, err := (&Filter{Where: "odd > 1"}).Plan(s); err == nil || !strings.Contains(err.Error(), `there is no column "odd"`) {
		t.Error(err)
	}
}
