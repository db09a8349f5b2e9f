package pipeline

import (
	"math"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// TestMatches: which values a test's file may write for a value of a column.
func TestMatches(t *testing.T) {
	f := func(typ, text string, want any, tolerance float64, match bool) {
		t.Helper()
		field, err := frame.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		field.Name, field.Nullable = "x", true
		c := frame.NewColumn(field, 1)
		if text == "" {
			c.AppendNull()
		} else if !c.ParseText([]byte(text)) {
			t.Fatalf("%q is no %s", text, typ)
		}
		a, err := c.Array()
		if err != nil {
			t.Fatal(err)
		}
		if got := matches(want, field, a, 0, tolerance); got != match {
			t.Errorf("%s %q matches %#v: %v", typ, text, want, got)
		}
	}
	f("int32", "3", int64(3), 0, true)
	f("int32", "3", 3.0, 0, true)
	f("int32", "3", "3", 0, false)
	f("int64", "9007199254740993", int64(9007199254740993), 0, true)
	f("int64", "9007199254740993", int64(9007199254740992), 0, false)
	f("double", "0.1", 0.1, 0, true)
	f("double", "2", int64(2), 0, true)
	f("double", "1.0005", 1.0, 0, false)
	f("double", "1.0005", 1.0, 1e-3, true)
	f("double", "1000.5", int64(1000), 1e-3, true)
	f("double", "0.0005", int64(0), 1e-3, true)
	f("double", "NaN", math.NaN(), 0, true)
	f("double", "NaN", nil, 0, false)
	f("double", "Inf", math.Inf(1), 1, true)
	f("double", "Inf", 5.0, 1, false)
	f("double", "", nil, 0, true)
	f("double", "", 0.0, 1, false)
	f("double", "0", nil, 0, false)
	f("bool", "true", true, 0, true)
	f("bool", "true", "true", 0, false)
	f("string", "21", int64(21), 0, false)
	f("string", "AA", "AA", 0, true)
	f("factor", "AA", "AA", 0, true)
	f("date", "2026-11-01", "2026-11-01", 0, true)
	f("date", "2026-11-01", "2026-11-02", 0, false)
	f("timestamp[UTC]", "2026-11-01T08:00:00Z", "2026-11-01 09:00:00+01:00", 0, true)
	f("timestamp[UTC]", "2026-11-01T08:00:00Z", "2026-11-01T08:00:00", 0, false)
	f("timestamp[Europe/Berlin]", "2026-11-01T08:00:00Z", "2026-11-01T08:00:00Z", 0, true)
	f("timestamp", "2026-11-01T08:00", "2026-11-01 08:00", 0, true)
	f("json", `{"a":[1,2]}`, configs.Object{{Key: "a", Value: []any{int64(1), 2.0}}}, 0, true)
	f("json", `{"a":[1,2]}`, `{"a": [1, 2]}`, 0, true)
	f("json", `{"a":[1,2]}`, configs.Object{{Key: "a", Value: []any{int64(2), int64(1)}}}, 0, false)
	f("json", `[1]`, int64(1), 0, false)
}

// TestComparison: what equals and contains say of rows.
func TestComparison(t *testing.T) {
	rows := func(list ...configs.Object) []any {
		var out []any
		for _, r := range list {
			out = append(out, r)
		}
		return out
	}
	row := func(a, b any) configs.Object { return configs.Object{{Key: "a", Value: a}, {Key: "b", Value: b}} }
	got, err := (&TestRows{Rows: rows(row(int64(1), "x"), row(int64(2), "y"), row(int64(1), "x"))}).frames(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	compare := func(want ...configs.Object) *comparison { return &comparison{want: want, got: got[0]} }
	f := func(what, message, wantMessage string, diffs []RowDiff, kinds ...string) {
		t.Helper()
		if message != wantMessage || len(diffs) != len(kinds) {
			t.Errorf("%s: %q, %+v", what, message, diffs)
			return
		}
		for i, d := range diffs {
			if d.Kind != kinds[i] {
				t.Errorf("%s: difference %d is %+v", what, i, d)
			}
		}
	}
	one, two, x := row(int64(1), "x"), row(int64(2), "y"), configs.Object{{Key: "b", Value: "x"}}

	m, d := compare(one, two, one).equal(false)
	f("the same", m, "", d)
	m, d = compare(two, one, one).equal(false)
	f("another order", m, "2 of 3 rows differ", d, RowDiffers, RowDiffers)
	m, d = compare(two, one, one).equal(true)
	f("any order", m, "", d)
	m, d = compare(two, one, two).equal(true)
	f("any order, a row twice that is there once", m, "2 of 3 rows differ", d, RowMissing, RowUnexpected)
	m, d = compare(one, two).equal(false)
	f("a row more", m, "3 rows, not 2", d, RowUnexpected)
	m, d = compare(one, two, one, one).equal(false)
	f("a row less", m, "3 rows, not 4", d, RowMissing)
	m, d = compare().equal(false)
	f("none expected", m, "3 rows, not 0", d, RowUnexpected, RowUnexpected, RowUnexpected)
	m, d = compare(x, x, x).equal(false)
	f("a column that no row names", m, "the column a is in no expected row; name it, or use contains, which compares the named columns alone", d)
	m, d = compare(configs.Object{{Key: "a", Value: int64(1)}, {Key: "bb", Value: "x"}}).equal(false)
	f("a column that is not there", m, "there is no column bb; did you mean b?", d)

	m, d = compare(x, x, two).contains()
	f("contains", m, "", d)
	m, d = compare(x, x, x).contains()
	f("contains a row more often than it is there", m, "1 of 3 rows not there, among 3 rows", d, RowMissing)
	m, d = compare(row(int64(1), "z")).contains()
	f("contains shows the nearest row", m, "1 of 1 row not there, among 3 rows", d, RowDiffers)
	if len(d) == 1 && (d[0].Row != 1 || !d[0].Cells[0].Same || d[0].Cells[1].Expected != `"z"` || d[0].Cells[1].Got != `"x"`) {
		t.Errorf("the nearest row is shown as %+v", d[0])
	}
}
