//go:build cgo

package duckdb

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

func TestCondition(t *testing.T) {
	d := open(t, Options{})
	x, err := d.Condition(t.Context(), schema("a double", "b string", "g int32"), "a IS NOT NULL AND g > 100 -- far")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got := slices.Sorted(slices.Values(x.Uses())); !slices.Equal(got, []string{"a", "g"}) {
		t.Errorf("uses %q", got)
	}
	const n = 5000
	b := frame.NewBuilder(schema("a double", "b string", "g int32"))
	for i := range n {
		if i%7 == 0 {
			b.Column(0).AppendNull()
		} else {
			b.Column(0).AppendDouble(float64(i))
		}
		b.Column(1).AppendNull()
		b.Column(2).AppendInt32(int32(i % 300))
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the statement is prepared once
		out, err := x.Eval(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		got := out.Column(0).(*array.Boolean)
		for i := range n {
			if want := i%7 != 0 && i%300 > 100; got.IsNull(i) || got.Value(i) != want {
				t.Fatalf("row %d: %s, want %v", i, got.ValueStr(i), want)
			}
		}
	}
}

func TestConditionThreeValued(t *testing.T) {
	d := open(t, Options{})
	b := frame.NewBuilder(schema("s string"))
	for _, s := range []string{"1", "x", "", "3"} {
		b.Column(0).AppendString(s)
	}
	b.Column(0).AppendNull()
	in, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	f := func(condition, want string) {
		t.Helper()
		x, err := d.Condition(t.Context(), in.Schema(), condition)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		out, err := x.Eval(t.Context(), in)
		if err != nil {
			t.Fatalf("%s: %v", condition, err)
		}
		if got := strings.Trim(out.Column(0).String(), "[]"); got != want {
			t.Errorf("%s: %s, want %s", condition, got, want)
		}
	}
	f("s = 'x'", "false true false false false")
	f("s <> 'x'", "true false true true false")
	f("s IS NULL OR s = 'x'", "false true false false true")
	f("NOT (s = 'x')", "true false true true false")
	f("CASE WHEN s = 'x' THEN NULL ELSE true END", "true false true true true")
	// What is on the right of AND is only evaluated where the left is true.
	f("s NOT IN ('x', '') AND CAST(s AS INTEGER) > 1", "false false false true false")
	f("TRY_CAST(s AS INTEGER) > 0", "true false false true false")
}

func TestColumns(t *testing.T) {
	d := open(t, Options{})
	s := schema("a int32", "b int32", "order double")
	x, err := d.Columns(t.Context(), s, []Named{
		{"sum", "a + b"}, {"b", "sum * 2"}, {"c", "b -- the new one"}, {"half", "c / 4"}, {"odd name", `"order" + 1.5`},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got, want := frame.FormatSchema(x.Schema()), "sum        int32\nb          int32\nc          int32\nhalf       double\n\"odd name\" double\n"; got != want {
		t.Errorf("schema:\n%s", got)
	}
	b := frame.NewBuilder(s)
	b.Column(0).AppendInt32(1)
	b.Column(1).AppendInt32(2)
	b.Column(2).AppendDouble(10)
	in, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Eval(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"3", "6", "6", "1.5", "11.5"} {
		if got := out.Column(i).ValueStr(0); got != want {
			t.Errorf("column %d: %s, want %s", i, got, want)
		}
	}
}

// Subqueries become joins, which need not keep the order of the rows.
func TestSubqueries(t *testing.T) {
	d := open(t, Options{})
	const n = 9000
	b := frame.NewBuilderSize(schema("i int64", "l list<int32>"), n)
	for i := range n {
		b.Column(0).AppendInt64(int64(i))
		b.Column(1).Child().AppendInt32(int32(i))
		b.Column(1).Child().AppendInt32(int32(i % 10))
		b.Column(1).AppendList()
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	x, err := d.Columns(t.Context(), f.Schema(), []Named{
		{"known", "i IN (FROM range(0, 100000, 3))"},
		{"sum", "(SELECT sum(u)::BIGINT FROM unnest(l) AS t(u))"},
		{"later", "sum + (SELECT max(range) FROM range(100))"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for range 3 {
		out, err := x.Eval(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if got, want := out.Column(0).(*array.Boolean).Value(i), i%3 == 0; got != want {
				t.Fatalf("row %d: %v", i, got)
			}
			if got, want := out.Column(1).(*array.Int64).Value(i), int64(i+i%10); got != want {
				t.Fatalf("row %d: %d, want %d", i, got, want)
			}
			if got, want := out.Column(2).(*array.Int64).Value(i), int64(i+i%10+99); got != want {
				t.Fatalf("row %d: %d, want %d", i, got, want)
			}
		}
	}
}

// What a user sees of a mistake.
func TestExpressionErrors(t *testing.T) {
	d := open(t, Options{Memory: 64 << 20})
	s := schema("dep_delay double", "distance int32", "carrier string", "x int32", "X int32", "wind.speed double")
	condition := func(expr, want string) {
		t.Helper()
		x, err := d.Condition(t.Context(), s, expr)
		if err == nil {
			x.Close()
			t.Errorf("%s: no error", expr)
			return
		}
		if err.Error() != want {
			t.Errorf("%s:\n got %s\nwant %s", expr, err, want)
		}
		var e *Error
		if errors.As(err, &e) && e.RowError() {
			t.Errorf("%s: %#v", expr, err)
		}
	}
	condition("distance > 1 AND wind.speed > 1", `column 18: there is no table "wind"; a column whose name has a dot is written in double quotes: "wind.speed"`)
	condition("dep_dela > 1", `column 1: there is no column "dep_dela"; near it: "dep_delay", "wind.speed"`)
	condition("distance > 1 AND\n  dep_dela > 1", `line 2, column 3: there is no column "dep_dela"; near it: "dep_delay", "wind.speed"`)
	condition("1) ; DROP", `column 2: syntax error at or near ")"`)
	condition("distance > 1; DROP TABLE x", `this is more than one expression: leave out the semicolon`)
	condition("distance > 1) OR (distance < 3", `column 13: syntax error at or near ")"`)
	condition("distance >", `column 11: syntax error at end of input`)
	condition("distance > 1 AS y", `column 14: syntax error at or near "AS"`)
	condition("distance > 1 FROM input", `column 14: syntax error at or near "FROM"`)
	condition(" ", "the expression is empty")
	condition("distance", "the condition is of type int32, neither true nor false: compare it with something, as in x > 0")
	condition("distance > 1, carrier = 'x'", "the condition is of type json, neither true nor false: compare it with something, as in x > 0")
	condition("distance > avg(distance)", "column 12: an aggregate function needs all rows, and this expression sees one row at a time")
	condition("lag(distance) OVER () > 1", "column 1: a window function needs other rows, and this expression sees one row at a time")
	condition("unnest([true, false])", "column 1: unnest makes several rows of one, and this expression has one value for each row")
	condition("distance > (SELECT max(distance) FROM input)", "the query reads input twice, and a stream can be read once only")
	condition("row > 1", `column 1: there is no column "row"`)
	condition("distance IN (SELECT 1 FROM inpt)", `column 28: there is no table "inpt"; there is input`)
	condition("distance > ?", "the query has parameters (? or $1), which have no values here")
	condition("x > 1", `the columns "x" and "X" differ only in case, and SQL cannot tell them apart: rename one of them first`)
	condition("nofun(distance)", `column 1: scalar Function with name nofun does not exist; Did you mean "count"?`)
	condition("distance IN (SELECT 1 FROM read_csv('/etc/passwd'))", `column 28: cannot access file "/etc/passwd" - file system operations are disabled by configuration`)
	condition("distance IN (SELECT 1 FROM '/etc/passwd.parquet')", `cannot access file "/etc/passwd.parquet" - file system operations are disabled by configuration`)
	condition("EXISTS (SELECT content FROM read_text('/etc/passwd'))", `column 29: cannot access file "/etc/passwd" - file system operations are disabled by configuration`)

	columns := func(name, expr, want string) {
		t.Helper()
		x, err := d.Columns(t.Context(), s, []Named{{"first", "distance + 1"}, {name, expr}})
		if err == nil {
			x.Close()
			t.Errorf("%s: no error", expr)
			return
		}
		if err.Error() != want {
			t.Errorf("%s:\n got %s\nwant %s", expr, err, want)
		}
	}
	columns("y", "firsd + 1", `y: column 1: there is no column "firsd"; near it: "first", "distance"`)
	columns("y", "avg(first)", "y: column 1: an aggregate function needs all rows, and this expression sees one row at a time")
	columns("y", "distance +", "y: column 11: syntax error at end of input")
	columns("y", "distance, carrier FROM input", `y: column 19: syntax error at or near "FROM"`)
	columns("Distance", "1", `Distance: the name differs only in case from that of column "distance", and SQL cannot tell them apart`)
	columns("", "1", "a new column needs a name")
	columns("y", "INTERVAL 1 DAY", "y: an INTERVAL cannot leave SQL: use date_diff('minute', a, b) for a number, or epoch(x) for seconds")
}
