package frame

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendJSON(t *testing.T) {
	f := func(in Frame, want ...string) {
		t.Helper()
		for i, w := range want {
			got := string(AppendJSON(nil, in.Schema().Field(0), in.Column(0), i))
			if got != w || !json.Valid([]byte(got)) {
				t.Errorf("row %d: %s, want %s", i, got, w)
			}
		}
	}
	f(column(t, "bool", true, nil), "true", "null")
	f(column(t, "int64", math.MinInt64), "-9223372036854775808")
	f(column(t, "double", 0.1, 1e21, math.NaN(), math.Inf(-1), math.Copysign(0, -1)), "0.1", "1e+21", "null", "null", "-0")
	f(column(t, "string", "a\"\\\n\x01\u2028é"), `"a\"\\\n\u0001\u2028é"`)
	f(column(t, "json", `{"a": [1]}`), `{"a": [1]}`)
	f(column(t, "factor", "x"), `"x"`)
	f(column(t, "date", 0), `"1970-01-01"`)
	f(column(t, "timestamp[Europe/Berlin]", 0), `"1970-01-01T01:00:00+01:00"`)
	f(column(t, "timestamp", 1), `"1970-01-01T00:00:00.000001"`)
	f(column(t, "difftime[mins]", 1.5), "1.5")
	f(column(t, "binary", []byte{0, 1}), `"AAE="`)
	f(column(t, "list<string>", []any{"a", nil}, []any{}, nil), `["a",null]`, `[]`, `null`)
	f(column(t, "list<date>", []any{0}), `["1970-01-01"]`)
}

func TestAppendQuotedProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(rt, "s"))
		want, err := json.Marshal(s) // replaces bad bytes too
		if err != nil {
			rt.Fatal(err)
		}
		var a, b string
		if err := json.Unmarshal(AppendQuoted(nil, s), &a); err != nil {
			rt.Fatal(err)
		}
		if err := json.Unmarshal(want, &b); err != nil || a != b {
			rt.Fatalf("%q, want %q (%v)", a, b, err)
		}
	})
}

func TestTextOptions(t *testing.T) {
	in := column(t, "bool", true, false, nil)
	o := TextOptions{Null: "NA", True: "TRUE", False: "FALSE"}
	got := ""
	for i := range 3 {
		got += string(AppendText(nil, in.Column(0), i, o)) + " "
	}
	if got != "TRUE FALSE NA " {
		t.Error(got)
	}
}
