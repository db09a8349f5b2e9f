//go:build cgo

package duckdb

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// Every type passes through the engine: with and without nulls, whole and as a
// slice that begins in the middle of a byte, less and more than a vector.
func TestEveryType(t *testing.T) {
	d := open(t, Options{})
	r := rand.New(rand.NewPCG(1, 2))
	q, err := d.Prepare(t.Context(), "SELECT * FROM input", map[string]*frame.Schema{"input": everyType})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, n := range []int{0, 1, 7, 100, 2048, 4100} {
		for _, nulls := range []float64{0, 0.3, 1} {
			f := random(r, everyType, n+70, nulls)
			for _, from := range []int{0, 3, 64} {
				in := frame.Slice(f, from, from+n)
				out, err := q.Collect(t.Context(), map[string]Input{"input": Single(in)})
				if err != nil {
					t.Fatal(err)
				}
				for i := range everyType.NumFields() {
					same(t, everyType.Field(i).Name, out.Column(i), plain(in.Column(i)))
				}
			}
		}
	}
}

func TestOutputTypes(t *testing.T) {
	d := open(t, Options{})
	f := func(expr, kind, value string) {
		t.Helper()
		q, err := d.Prepare(t.Context(), "SELECT "+expr+" AS x", nil)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			return
		}
		defer q.Close()
		out, err := q.Collect(t.Context(), nil)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			return
		}
		if got := frame.TypeName(out.Schema().Field(0)); got != kind {
			t.Errorf("%s: type %s, want %s", expr, got, kind)
		}
		if got := out.Column(0).ValueStr(0); got != value {
			t.Errorf("%s: %s, want %s", expr, got, value)
		}
	}
	f("1", "int32", "1")
	f("1::TINYINT", "int32", "1")
	f("1::USMALLINT", "int32", "1")
	f("4000000000::UINTEGER", "int64", "4000000000")
	f("1::BIGINT", "int64", "1")
	f("18446744073709551615::UBIGINT", "double", "1.8446744073709552e+19")
	f("9223372036854775807::HUGEINT", "int64", "9223372036854775807")
	f("170141183460469231731687303715884105727::UHUGEINT", "double", "1.7014118346046923e+38")
	f("(SELECT sum(x) FROM (VALUES (1), (2)) t(x))", "int64", "3")
	f("1.25", "double", "1.25")
	f("1.5::FLOAT", "double", "1.5")
	f("'a'::ENUM('a', 'b')", "string", "a")
	f("'2bd9c5a2-7c1d-4b8a-9f0e-1d2c3b4a5f60'::UUID", "string", "2bd9c5a2-7c1d-4b8a-9f0e-1d2c3b4a5f60")
	f("'101'::BIT", "string", "101")
	f("NULL", "int32", array.NullValueStr)
	f("DATE '2024-02-29'", "date", "2024-02-29")
	f("TIMESTAMP '2024-02-29 12:00:00.123456'", "timestamp", "2024-02-29T12:00:00.123456")
	f("TIMESTAMP_NS '2024-02-29 12:00:00.123456789'", "timestamp", "2024-02-29T12:00:00.123456")
	f("TIMESTAMPTZ '2024-02-29 12:00:00+02'", "timestamp[UTC]", "2024-02-29T10:00:00Z")
	f("hour(TIMESTAMPTZ '2024-02-29 12:00:00+02' AT TIME ZONE 'Europe/Berlin')", "int64", "11")
	f("TIME '01:00:00.5'", "hms", "3600.5")
	f("'{\"a\": 1}'::JSON", "json", `{"a": 1}`)
	f("{'a': 1, 'b': [1, 2]}", "json", `{"a":1,"b":[1,2]}`)
	f("MAP {'a': 1}", "json", `{"a":1}`)
	f("[1, NULL, 3]", "list<int32>", "[1,null,3]")
	f("[1.5, 2.5]", "list<double>", "[1.5,2.5]")
	f("[1, 2]::INTEGER[2]", "list<int32>", "[1,2]")
	f("[[1], [2, 3]]", "json", "[[1],[2,3]]")
	f("[{'a': 1}]", "json", `[{"a":1}]`)
	f("'a'::BLOB", "binary", "YQ==")
}

// Lists whose elements do not follow one another in DuckDB's memory.
func TestListsOutOfOrder(t *testing.T) {
	d := open(t, Options{})
	q, err := d.Prepare(t.Context(), "SELECT list_reverse(list_slice(l, 2, 4)) AS l, i FROM input WHERE i % 3 <> 0 ORDER BY i DESC",
		map[string]*frame.Schema{"input": schema("i int32", "l list<int32>")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	b := frame.NewBuilder(schema("i int32", "l list<int32>"))
	const n = 5000
	for i := range n {
		b.Column(0).AppendInt32(int32(i))
		for k := range i % 6 {
			b.Column(1).Child().AppendInt32(int32(i*10 + k))
		}
		b.Column(1).AppendList()
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	out, err := q.Collect(t.Context(), map[string]Input{"input": Single(f)})
	if err != nil {
		t.Fatal(err)
	}
	row := 0
	lists := out.Column(0).(*array.List)
	values := lists.ListValues().(*array.Int32)
	for i := n - 1; i >= 0; i-- {
		if i%3 == 0 {
			continue
		}
		var want []int32
		for k := min(i%6, 4) - 1; k >= 1; k-- {
			want = append(want, int32(i*10+k))
		}
		from, to := lists.ValueOffsets(row)
		got := values.Int32Values()[from:to]
		if len(got) != len(want) {
			t.Fatalf("row %d: %v, want %v", row, got, want)
		}
		for k := range want {
			if got[k] != want[k] {
				t.Fatalf("row %d: %v, want %v", row, got, want)
			}
		}
		row++
	}
	if row != int(out.NumRows()) {
		t.Errorf("%d rows, want %d", out.NumRows(), row)
	}
}

// NaN is a value, NULL is none.
func TestNaN(t *testing.T) {
	d := open(t, Options{})
	f := func(condition string, want bool) {
		t.Helper()
		q, err := d.Prepare(t.Context(), "SELECT "+condition+" AS x FROM (SELECT 'NaN'::DOUBLE AS nan)", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		out, err := q.Collect(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Column(0).(*array.Boolean).Value(0); got != want {
			t.Errorf("%s is %v", condition, got)
		}
	}
	f("nan = nan", true)
	f("nan > 1e308", true)
	f("nan < 1", false)
	f("nan IS NULL", false)
	f("isnan(nan + 1)", true)
}

// Text that is not UTF-8 is refused with the column's name: some of DuckDB's
// functions would end the database.
func TestNotUTF8(t *testing.T) {
	d := open(t, Options{})
	q, err := d.Prepare(t.Context(), "SELECT upper(s) AS s FROM input", map[string]*frame.Schema{"input": schema("s string")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	f := func(want string, values ...string) {
		t.Helper()
		var e *Error
		b := array.NewStringBuilder(frame.Allocator)
		b.AppendValues(values, nil)
		in := array.NewRecordBatch(schema("s string"), []arrow.Array{b.NewArray()}, int64(len(values)))
		out, err := q.Collect(t.Context(), map[string]Input{"input": Single(in)})
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", values, err)
		case want == "" && out.NumRows() != int64(len(values)):
			t.Errorf("%q: %d rows", values, out.NumRows())
		case want != "" && (!errors.As(err, &e) || !e.RowError() || err.Error() != want):
			t.Errorf("%q: %v, want %s", values, err, want)
		}
	}
	f("", "ü", "x")
	f(`column "s" of input: it has text that is not valid UTF-8`, "a", "\xff")
	f(`column "s" of input: it has text that is not valid UTF-8`, "\xc3", "\xbc") // one character, cut in two
	f("", "ü", "x")
}
