package frame

import (
	"errors"
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func schemaOf(t *testing.T, types ...string) *Schema {
	t.Helper()
	var fields []arrow.Field
	for i, typ := range types {
		f, err := ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		f.Name = "x"
		if i > 0 {
			f.Name = string(rune('x' + i))
		}
		fields = append(fields, f)
	}
	return arrow.NewSchema(fields, nil)
}

func TestConform(t *testing.T) {
	f := func(in Frame, typ, want string) {
		t.Helper()
		s := schemaOf(t, typ)
		out, err := Conform(in, s)
		got := ""
		if err != nil {
			got = err.Error()
			if !errors.As(err, new(*ConflictError)) {
				t.Errorf("%T is not a ConflictError", err)
			}
		} else {
			got = show(out)
			if !out.Schema().Equal(s) {
				t.Errorf("schema %v, want %v", out.Schema(), s)
			}
		}
		if got != want {
			t.Errorf(" got %s\nwant %s", got, want)
		}
	}
	f(column(t, "int32", 1, nil), "int32", "x int32: 1 NA")
	f(column(t, "int32", 1, nil), "int64", "x int64: 1 NA")
	f(column(t, "int32", 1, nil), "double", "x double: 1 NA")
	f(column(t, "int64", 1, nil), "double", "x double: 1 NA")
	f(column(t, "int64", 1<<53, 1<<53+1), "double", `column "x": 9007199254740993 in row 2 (int64) does not fit double; declare a type that holds both (returns: {x: …}), or convert it`)
	f(column(t, "int64", 1, 1<<31), "int32", `column "x": 2147483648 in row 2 (int64) does not fit int32; declare a type that holds both (returns: {x: …}), or convert it`)
	f(column(t, "double", 1.0, nil, -3.0), "int32", "x int32: 1 NA -3")
	f(column(t, "double", 1.0, 2.5), "int32", `column "x": 2.5 in row 2 (double) does not fit int32; declare it as double (returns: {x: double}), or round it`)
	f(column(t, "double", math.NaN()), "int64", `column "x": NaN in row 1 (double) does not fit int64; declare it as double (returns: {x: double}), or round it`)
	f(column(t, "double", 1e300), "int64", `column "x": 1e+300 in row 1 (double) does not fit int64; declare it as double (returns: {x: double}), or round it`)
	f(column(t, "bool", nil, nil), "list<double>", "x list<double>: NA NA")
	f(column(t, "string", nil, nil), "date", "x date: NA NA")
	f(column(t, "bool", true), "int32", `column "x" is bool where it was int32; declare a type that holds both (returns: {x: …}), or convert it`)
	f(column(t, "factor", "a", nil, "b"), "string", "x string: a NA b")
	f(Slice(column(t, "factor", "a", nil, "b"), 1, 3), "string", "x string: NA b")
	f(column(t, "string", "b", nil, "a"), "factor", `x factor["b" "a"]: b NA a`)
	f(column(t, "ordered", "b", nil, "a"), "factor", `x factor["b" "a"]: b NA a`)
	f(column(t, "factor", "b"), "ordered", `column "x" is factor where it was ordered; declare a type that holds both (returns: {x: …}), or convert it`)
	f(column(t, "string", "{}", nil), "json", "x json: {} NA")
	f(column(t, "string", "{}", "{"), "json", `column "x": "{" in row 2 (string) does not fit json; declare a type that holds both (returns: {x: …}), or convert it`)
	f(column(t, "difftime[hours]", 1.5, nil), "difftime[mins]", "x difftime[mins]: 90 NA")
	f(column(t, "difftime[secs]", 90.0), "difftime[mins]", "x difftime[mins]: 1.5")
	f(column(t, "hms", 90.0), "difftime[secs]", "x difftime[secs]: 90")
	f(column(t, "double", 90.0), "difftime[mins]", `column "x" is double where it was difftime[mins]; return a difftime from every batch, or convert it with as.numeric(x, units = "secs")`)
	f(column(t, "timestamp[UTC]", 0), "timestamp", "x timestamp: 1970-01-01T00:00:00")
	f(column(t, "timestamp[UTC]", 0), "timestamp[Europe/Berlin]", "x timestamp[Europe/Berlin]: 1970-01-01T01:00:00+01:00")
	f(column(t, "timestamp[Europe/Berlin]", 0), "timestamp", `column "x" is timestamp[Europe/Berlin] where it was timestamp; declare a type that holds both (returns: {x: …}), or convert it`)
	f(column(t, "list<int32>", []any{1, nil}, nil, []any{}), "list<double>", "x list<double>: [1,null] NA []")
	f(Slice(column(t, "list<int32>", []any{1, nil}, nil, []any{7}), 1, 3), "list<double>", "x list<double>: NA [7]")
	f(column(t, "list<double>", []any{1.0}, []any{1.5}), "list<int32>", `column "x": 1.5 in row 2 (list<double>) does not fit list<int32>; declare a type that holds both (returns: {x: …}), or convert it`)
}

func TestConformColumns(t *testing.T) {
	f := beside(t, column(t, "int32", 1), column(t, "string", "s"))
	s, _, err := SelectSchema(f.Schema(), []string{"b", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := Conform(f, s); err != nil || show(out) != "b string: s; a int32: 1" {
		t.Error(show(out), err)
	}
	one, _ := Select(f, []string{"a"})
	if _, err := Conform(one, f.Schema()); err == nil || err.Error() != `column "b" (string) is missing; return it from every batch, or declare the columns (returns:)` {
		t.Error(err)
	}
	if _, err := Conform(f, one.Schema()); err == nil || err.Error() != `column "b" (string) is not expected; return the same columns from every batch, or declare them (returns:)` {
		t.Error(err)
	}
}

func TestUnify(t *testing.T) {
	f := func(a, b, want string) {
		t.Helper()
		u, err := Unify(schemaOf(t, a), schemaOf(t, b))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = TypeName(u.Field(0))
		}
		if got != want {
			t.Errorf("%s and %s: %s, want %s", a, b, got, want)
		}
	}
	f("int32", "double", "double")
	f("double", "int32", "double")
	f("int64", "int32", "int64")
	f("factor", "string", "string")
	f("json", "string", "string")
	f("ordered", "ordered", "ordered")
	f("timestamp", "timestamp[UTC]", "timestamp")
	f("timestamp[Europe/Berlin]", "timestamp[UTC]", "timestamp[Europe/Berlin]")
	f("difftime[mins]", "difftime[hours]", "difftime[mins]")
	f("list<int32>", "list<double>", "list<double>")
	f("bool", "int32", `column "x" is int32 where it was bool; declare a type that holds both (returns: {x: …}), or convert it`)

	// NA alone adopts what comes, whichever is first.
	na, err := FromR(evalR(t, `data.frame(x = NA)`, nil))
	if err != nil {
		t.Fatal(err)
	}
	date := column(t, "date", 1)
	for _, pair := range [][2]*Schema{{na.Schema(), date.Schema()}, {date.Schema(), na.Schema()}} {
		u, err := Unify(pair[0], pair[1])
		if err != nil || TypeName(u.Field(0)) != "date" {
			t.Error(u, err)
			continue
		}
		if out, err := Conform(na, u); err != nil || show(out) != "x date: NA" {
			t.Error(show(out), err)
		}
	}
	if got := FormatSchema(na.Schema()); got != "x unknown (all NA)\n" {
		t.Errorf("%q", got)
	}
}

// TestRestore takes frames through R code and expects their types again.
func TestRestore(t *testing.T) {
	f := func(in Frame, code, want string) {
		t.Helper()
		item, err := AppendR(nil, in, ROptions{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := FromR(evalR(t, code, item))
		if err != nil {
			t.Fatal(err)
		}
		if got := show(Restore(out, in.Schema())); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	f(column(t, "int64", 1, nil), `df`, "x int64: 1 NA")
	f(column(t, "int64", 1, nil), `transform(df, x = as.integer(x))`, "x int64: 1 NA")
	f(column(t, "int64", 1, nil), `transform(df, x = x / 2)`, "x double: 0.5 NA")
	f(column(t, "int32", 2, nil), `transform(df, x = x / 2)`, "x double: 1 NA")
	f(column(t, "double", 2.5), `transform(df, x = 3L)`, "x double: 3")
	f(column(t, "timestamp", 0, nil), `transform(df, x = x + 1, y = x)`,
		"x timestamp: 1970-01-01T00:00:01 NA; y timestamp[UTC]: 1970-01-01T00:00:00Z NA")
	f(column(t, "timestamp[Europe/Berlin]", 0), `{ attr(df$x, "tzone") <- NULL; df }`, "x timestamp[Europe/Berlin]: 1970-01-01T01:00:00+01:00")
	f(column(t, "timestamp[Europe/Berlin]", 0), `{ attr(df$x, "tzone") <- "Asia/Tokyo"; df }`, "x timestamp[Asia/Tokyo]: 1970-01-01T09:00:00+09:00")
	f(column(t, "json", `{"a":1}`), `df`, `x json: {"a":1}`)
	f(column(t, "json", `{"a":1}`), `transform(df, x = "{")`, `x string: {`)
	f(column(t, "date", 1), `transform(df, x = NA)`, "x date: NA")
	f(column(t, "list<int64>", []any{1, nil}, nil), `df`, "x list<int64>: [1,null] NA")
	f(column(t, "string", "a"), `transform(df, x = factor(x))`, `x factor["a"]: a`)
	f(column(t, "double", 1.5), `transform(df, x = as.character(x))`, `x string: 1.5`)
}
