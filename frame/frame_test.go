package frame

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

// beside joins one-column frames, which become a, b, c, …
func beside(t testing.TB, fs ...Frame) Frame {
	t.Helper()
	var fields []arrow.Field
	var cols []arrow.Array
	for i, f := range fs {
		field := f.Schema().Field(0)
		field.Name = string(rune('a' + i))
		fields, cols = append(fields, field), append(cols, f.Column(0))
	}
	return New(arrow.NewSchema(fields, nil), cols, int(fs[0].NumRows()))
}

func everyType(t testing.TB) Frame {
	t.Helper()
	return beside(t,
		column(t, "bool", true, nil, false, true, nil), column(t, "int32", 1, nil, 3, 4, 5), column(t, "int64", 1, nil, 3, 4, 5),
		column(t, "double", 1.5, nil, 3.5, 4.5, 5.5), column(t, "string", "a", nil, "", "ddd", "e"), column(t, "json", "1", nil, "[]", "{}", "2"),
		column(t, "factor", "u", nil, "v", "u", "w"), column(t, "ordered", "u", nil, "v", "u", "w"), column(t, "date", 1, nil, 3, 4, 5),
		column(t, "timestamp[UTC]", 1, nil, 3, 4, 5), column(t, "timestamp", 1, nil, 3, 4, 5), column(t, "difftime[mins]", 1.0, nil, 3.0, 4.0, 5.0),
		column(t, "binary", "a", nil, "", "ddd", "e"), column(t, "list<string>", []any{"a", nil}, nil, []any{}, []any{"ddd"}, []any{"e"}))
}

func TestSliceAndConcat(t *testing.T) {
	f := everyType(t)
	for i := range 6 {
		for j := i; j <= 5; j++ {
			parts := []Frame{Slice(f, 0, i), Slice(f, i, j), Slice(f, j, 5), Slice(Slice(f, 0, 5), 5, 5)}
			whole, err := Concat(parts...)
			if err != nil {
				t.Fatal(err)
			}
			if d := Diff(f, whole); d != "" {
				t.Errorf("[%d:%d]: %s", i, j, d)
			}
			for k := range int(f.NumCols()) {
				if got, want := whole.Column(k).NullN(), f.Column(k).NullN(); got != want {
					t.Errorf("column %d: %d nulls, want %d", k, got, want)
				}
			}
			// The codec and the printers see the slice, not what lies around it.
			item, err := AppendR(nil, parts[1], ROptions{})
			if err != nil {
				t.Fatal(err)
			}
			back, err := FromR(item)
			if err != nil {
				t.Fatal(err)
			}
			if back, err = Conform(Restore(back, f.Schema()), f.Schema()); err != nil {
				t.Fatal(err)
			}
			if d := Diff(parts[1], back); d != "" {
				t.Errorf("[%d:%d] through R's format: %s", i, j, d)
			}
		}
	}
	if Equal(f, Slice(f, 0, 4)) {
		t.Error("frames of different lengths are equal")
	}
	if d := Diff(Empty(f.Schema()), Slice(f, 2, 2)); d != "" {
		t.Error(d)
	}
}

func TestTake(t *testing.T) {
	f := everyType(t)
	for _, in := range []Frame{f, Slice(f, 1, 5)} {
		n := int32(in.NumRows())
		got, err := Take(in, []int32{n - 1, 0, 0, 2})
		if err != nil {
			t.Fatal(err)
		}
		one := func(i int32) Frame { return Slice(in, int(i), int(i)+1) }
		want, err := Concat(one(n-1), one(0), one(0), one(2))
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff(want, got); d != "" {
			t.Error(d)
		}
		if none, err := Take(in, nil); err != nil || !Equal(Empty(f.Schema()), none) {
			t.Error("taking no rows:", err)
		}
	}
	if _, err := Take(fromJSON(t, f.Schema().Field(0).Type, `[true]`), []int32{0}); err != nil {
		t.Error(err)
	}
	if _, err := Take(fromJSON(t, arrow.BinaryTypes.LargeString, `["a"]`), []int32{0}); err == nil ||
		err.Error() != `take rows: column "x": large_utf8 is not a type of frames` {
		t.Error(err)
	}
}

func TestConcatFactors(t *testing.T) {
	a, b := column(t, "factor", "x", "y", nil), column(t, "factor", "y", "z", "x")
	got, err := Concat(a, b, Slice(a, 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if s := show(got); s != `x factor["x" "y" "z"]: x y NA y z x y NA` {
		t.Error(s)
	}
	_, err = Concat(column(t, "ordered", "lo", "hi"), column(t, "ordered", "hi", "lo"))
	if err == nil || !strings.Contains(err.Error(), "ordered levels differ") {
		t.Error(err)
	}
	_, err = Concat(column(t, "int32", 1), column(t, "double", 1.5))
	if conflict, ok := errors.AsType[*ConflictError](err); !ok || conflict.Have != "double" || conflict.Want != "int32" {
		t.Error(err)
	}
}

func TestBytes(t *testing.T) {
	f := everyType(t)
	whole := Bytes(f)
	if whole <= 0 || whole > 1000 {
		t.Errorf("%d bytes", whole)
	}
	sum := int64(0)
	for i := range 5 {
		sum += Bytes(Slice(f, i, i+1))
	}
	// Levels and bits do not divide evenly, nothing else may be counted twice.
	if sum < whole/2 || sum > whole*2 {
		t.Errorf("the rows take %d bytes, the frame %d", sum, whole)
	}
	long := column(t, "string", strings.Repeat("x", 1000), "y")
	if b := Bytes(Slice(long, 1, 2)); b > 10 {
		t.Errorf("a slice of one byte of text is said to take %d", b)
	}
	if b := Bytes(Slice(long, 0, 1)); b < 1000 {
		t.Errorf("a slice of 1000 bytes of text is said to take %d", b)
	}
}

func TestSelectAndRename(t *testing.T) {
	f := beside(t, column(t, "int32", 1), column(t, "string", "x"), column(t, "bool", true))
	got, err := Select(f, []string{"c", "a"})
	if err != nil || show(got) != "c bool: true; a int32: 1" {
		t.Error(show(got), err)
	}
	if _, err = Select(f, []string{"a", "a"}); err == nil || err.Error() != `column "a" is named twice` {
		t.Error(err)
	}
	if got, err = Rename(f, map[string]string{"a": "b", "b": "a"}); err != nil || show(got) != "b int32: 1; a string: x; c bool: true" {
		t.Error(err)
	}
	if _, err = Rename(f, map[string]string{"a": "b"}); err == nil || err.Error() != `rename: two columns would be called "b"` {
		t.Error(err)
	}
	g, err := Rename(f, map[string]string{"a": "carrier", "b": "distance"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Select(g, []string{"carier"}); err == nil || err.Error() != `there is no column "carier", did you mean "carrier"?` {
		t.Error(err)
	}
	if _, err = Rename(g, map[string]string{"zzzzzz": "x"}); err == nil || err.Error() != `there is no column "zzzzzz"; there are carrier, distance, c` {
		t.Error(err)
	}
}

func TestTypes(t *testing.T) {
	for _, name := range []string{"bool", "int32", "int64", "double", "string", "json", "factor", "ordered", "date", "timestamp",
		"timestamp[UTC]", "timestamp[Europe/Berlin]", "binary", "difftime[secs]", "difftime[weeks]", "hms", "list<double>", "list<timestamp[UTC]>"} {
		f, err := ParseType(name)
		if err != nil {
			t.Error(err)
		} else if got := TypeName(f); got != name {
			t.Errorf("%s is %s", name, got)
		}
	}
	for alias, want := range map[string]string{"logical": "bool", "Integer": "int32", "numeric": "double", "character": "string",
		" text ": "string", "difftime": "difftime[secs]", "list< int >": "list<int32>", "raw": "binary"} {
		if f, err := ParseType(alias); err != nil || TypeName(f) != want {
			t.Errorf("%s is %s (%v), want %s", alias, TypeName(f), err, want)
		}
	}
	for bad, want := range map[string]string{
		"strng":             `unknown type "strng", did you mean "string"?`,
		"":                  `unknown type ""`,
		"int32[3]":          `type "int32[3]": int32 takes nothing in brackets`,
		"timestamp[Berlin]": `type "timestamp[Berlin]": "Berlin" is not a time zone (use one such as UTC or Europe/Berlin)`,
		"difftime[years]":   `type "difftime[years]": the unit of a difftime is secs, mins, hours, days or weeks`,
		"list":              `type "list": write what it is a list of, such as list<double>`,
		"list<list<int>>":   `type "list<list<int>>": a list cannot hold list<int32>`,
		"list<int":          `type "list<int": missing ">" at its end`,
		"timestamp[]":       `type "timestamp[]": nothing between the brackets`,
	} {
		if _, err := ParseType(bad); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", bad, err, want)
		}
	}
}
