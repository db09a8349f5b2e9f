//go:build cgo

package stages

import (
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// Derive against the same arithmetic in Go.
func TestDerive(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	whole := sqlFrame(r, 0, 5000)
	batches := []frame.Frame{frame.Slice(whole, 0, 1), frame.Slice(whole, 1, 3334), frame.Slice(whole, 3334, 5000)}
	c := &Derive{Columns: sqlPairs(
		"twice", "x * 2",
		"x", "twice + 1", // in its place, from now on
		"half", "x / 2 -- of the new x",
		"copy", " f ", // with its levels
		"zone", `"when"`,
		"label", "s || '!'",
	)}
	out, _, err := transformed(t, c, batches...)
	if err != nil {
		t.Fatal(err)
	}
	got := joined(t, out)
	const want = "row   int64\nx     int32\ny     double\ns     string\nf     factor\nb     bool\nwhen  timestamp[Europe/Berlin]\nl     list<double>\nd     difftime[mins]\n" +
		"twice int32\nhalf  double\ncopy  factor\nzone  timestamp[Europe/Berlin]\nlabel string\n"
	if s := frame.FormatSchema(got.Schema()); s != want {
		t.Errorf("schema\n%s", s)
	}
	planned, err := c.Plan(sqlRow)
	if err != nil || frame.FormatSchema(planned) != want {
		t.Errorf("planned %v\n%s", err, frame.FormatSchema(planned))
	}
	x, s := whole.Column(1).(*array.Int32), whole.Column(3).(*array.String)
	for i := range 5000 {
		twice, newX, half := got.Column(9).(*array.Int32), got.Column(1).(*array.Int32), got.Column(10).(*array.Float64)
		if x.IsNull(i) != twice.IsNull(i) || x.IsNull(i) != newX.IsNull(i) || x.IsNull(i) != half.IsNull(i) {
			t.Fatalf("row %d: nulls", i)
		}
		if v := x.Value(i); x.IsValid(i) && (twice.Value(i) != 2*v || newX.Value(i) != 2*v+1 || half.Value(i) != float64(2*v+1)/2) {
			t.Fatalf("row %d: %d, %d, %v of %d", i, twice.Value(i), newX.Value(i), half.Value(i), v)
		}
		label := got.Column(13).(*array.String)
		if s.IsNull(i) != label.IsNull(i) || s.IsValid(i) && label.Value(i) != s.Value(i)+"!" {
			t.Fatalf("row %d: %s of %s", i, label.ValueStr(i), s.ValueStr(i))
		}
	}
	// What was not derived is as it was, and copies are copies.
	var all []int
	for i := range 5000 {
		all = append(all, i)
	}
	others := []string{"row", "y", "s", "f", "b", "when", "l", "d"}
	kept, _ := frame.Select(got, others)
	before, _ := frame.Select(whole, others)
	sameRows(t, kept, before, all)
	copies, _ := frame.Select(got, []string{"copy", "zone"})
	copies, _ = frame.Rename(copies, map[string]string{"copy": "f", "zone": "when"})
	originals, _ := frame.Select(whole, []string{"f", "when"})
	sameRows(t, copies, originals, all)
}

func TestDerivePlan(t *testing.T) {
	f := func(want string, pairs ...string) {
		t.Helper()
		_, err := (&Derive{Columns: sqlPairs(pairs...)}).Plan(sqlRow)
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", pairs, err, want)
		}
	}
	f(`z: column 5: there is no column "yy"; near it: "y"`, "z", "y + yy")
	f(`z: column 1: there is no column "later"; near it: "l"`, "z", "later + 1", "later", "x")
	f(`X: the name differs only in case from that of column "x", and SQL cannot tell them apart`, "X", "x + 1")
	f("m: column 1: an aggregate function needs all rows, and this expression sees one row at a time", "z", "x", "m", "avg(y)")
	f("m: column 1: a window function needs other rows, and this expression sees one row at a time", "m", "row_number() OVER ()")
	f("t: an INTERVAL cannot leave SQL: use date_diff('minute', a, b) for a number, or epoch(x) for seconds", "t", `"when" - "when"`)
	f("z: column 4: syntax error at end of input", "z", "x +")

	if out, err := (&Derive{Columns: sqlPairs("z", "unknown + 1")}).Plan(nil); out != nil || err != nil {
		t.Errorf("an unknown schema: %v, %v", out, err)
	}
}

func TestDeriveFailingRows(t *testing.T) {
	c := &Derive{Columns: sqlPairs("n", "CAST(s AS INTEGER)", "m", "n + 1"), SQLErrors: SQLErrors{OnError: "dead_letter"}}
	out, rejected, err := transformed(t, c, badRows(100, 3, 99), badRows(2, 0, 1), badRows(50))
	if err != nil {
		t.Fatal(err)
	}
	if got := joined(t, out).NumRows(); got != 148 || len(rejected) != 4 {
		t.Errorf("%d rows, %d rejected", got, len(rejected))
	}
	if len(out) != 2 {
		t.Errorf("%d batches", len(out))
	}
	for _, r := range rejected {
		if want := "n: column 1: could not convert string 'twelve' to INT32 when casting from source column s"; r.Err.Error() != want {
			t.Errorf("got %v, want %s", r.Err, want)
		}
		if r.Frame.NumCols() != 2 {
			t.Error("the rejected rows are not as they entered")
		}
	}
}

// A frame of many columns, of which one is used.
func TestDeriveWide(t *testing.T) {
	var fields []string
	for i := range 50 {
		fields = append(fields, "c"+string(rune('a'+i%26))+string(rune('a'+i/26))+" int32")
	}
	s := sqlSchema(fields...)
	b := frame.NewBuilder(s)
	for i := range 50 {
		for k := range 3000 {
			b.Column(i).AppendInt32(int32(i * k))
		}
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := transformed(t, &Derive{Columns: sqlPairs("z", "cxb + 1")}, f)
	if err != nil {
		t.Fatal(err)
	}
	got := out[0].Value
	if got.NumCols() != 51 || got.Column(50).(*array.Int32).Value(2999) != 49*2999+1 {
		t.Errorf("%d columns, %s", got.NumCols(), got.Column(50).ValueStr(2999))
	}
}
