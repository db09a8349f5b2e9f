//go:build cgo

package duckdb

import "testing"

func TestArrivals(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		got, from := "", 0
		for _, i := range arrivals(expr) {
			got += expr[from:i] + "|"
			from = i
		}
		if got += expr[from:]; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	f("first(x)", "first(x|)")
	f("LAST (x) + any_value( y )", "LAST (x|) + any_value( y |)")
	f("coalesce(first(f(x, (y))), last(z))", "coalesce(first(f(x, (y))|), last(z|))")
	f("string_agg(a || ')', ', ')", "string_agg(a || ')', ', '|)")
	f("list(x) FILTER (WHERE y > 1)", "list(x|) FILTER (WHERE y > 1)")
	f("first(x) -- last(y)\n + list(/* first(z) */ z)", "first(x|) -- last(y)\n + list(/* first(z) */ z|)")
	f(`first("a)b") + first($$a)$$)`, `first("a)b"|) + first($$a)$$|)`)
	f("array_agg(größe)", "array_agg(größe|)")
	// These have an order, or none that matters.
	f("first(x ORDER BY y)", "first(x ORDER BY y)")
	f("list(DISTINCT x)", "list(DISTINCT x)")
	f("first(x) OVER (PARTITION BY y)", "first(x) OVER (PARTITION BY y)")
	f("first(x IGNORE NULLS) OVER w", "first(x IGNORE NULLS) OVER w")
	f("sum(x) + \"first\" + first_value + x.first()", "sum(x) + \"first\" + first_value + x.first()")
	f("'first(x)' || max(firstly(x))", "'first(x)' || max(firstly(x))")
	f("first(x) + (SELECT first(y) FROM input)", "first(x) + (SELECT first(y) FROM input)")
	f("first()", "first()")
	f("first(x", "first(x")
	f(")first(x)(", ")first(x|)(")
}

// Whatever it is given, the places are in order and inside.
func FuzzArrivals(f *testing.F) {
	for _, s := range []string{"first(x)", "list('a''(', \"b\"\"\")", "$x$ first( $x$", "/* -- */ last(y)--", "first(first(first(x)))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		last := -1
		for _, i := range arrivals(s) {
			if i <= last || i >= len(s) || s[i] != ')' {
				t.Fatalf("%q: %d after %d", s, i, last)
			}
			last = i
		}
	})
}
