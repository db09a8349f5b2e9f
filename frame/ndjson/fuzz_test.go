package ndjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// FuzzParser holds the parser to encoding/json: it never accepts what that
// rejects, and what it accepts has the same values.
func FuzzParser(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { "a" : 1 } `, `{"a":1,"b":"x","c":null,"d":true,"e":1.5e3}`, `{"a":{"b":[1,2,{"c":"d"}]}}`,
		`{"a":"\u00e9\ud834\udd1e\n\"\\\/"}`, `{"a":"\ud834"}`, `{"a":01}`, `{"a":1,}`, `{"a":1}{}`, `{"a":-}`,
		`{"a":1,"a":2}`, `{"a":"` + "\xff" + `"}`, `{"a":"` + "\x01" + `"}`, `{"a":1e400}`, `{"a":12345678901234567890}`,
		`{"a":+1}`, `{"a":NaN}`, `{"a":.5}`, `{"a":5.}`, `{"a":tru}`, `[1]`, `{"a\u0062":1,"ab":2}`, `{"":0}`, `{"a":-0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := NewInferrer(nil)
		serr := in.Sample(b)
		if serr == nil && !json.Valid(b) {
			t.Fatalf("sample accepts %q", b)
		}
		if serr != nil {
			var syntax *SyntaxError
			if !errors.As(serr, &syntax) || syntax.Offset < 0 || syntax.Offset > len(b) {
				t.Fatalf("%q: %v", b, serr)
			}
			if NewParser(in.Schema(), Options{Ignore: true}).Append(b) == nil {
				t.Fatalf("the parser accepts %q, which sampling does not", b)
			}
			return
		}
		p := NewParser(in.Schema(), Options{})
		if err := p.Append(b); err != nil {
			t.Fatalf("%q: what was sampled is refused: %v", b, err)
		}
		fr, err := p.Frame()
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		if int(fr.NumCols()) != len(want) {
			t.Fatalf("%q: %d columns, want %d", b, fr.NumCols(), len(want))
		}
		for i := range int(fr.NumCols()) {
			field := fr.Schema().Field(i)
			raw := want[field.Name]
			got := frame.AppendJSON(nil, field, fr.Column(i), 0)
			if !sameJSON(got, raw) {
				t.Fatalf("%q: column %q is %s, want %s", b, field.Name, got, raw)
			}
		}
	})
}

// sameJSON compares values; a number that became text must keep its digits.
func sameJSON(got, want []byte) bool {
	var g, w any
	if json.Unmarshal(got, &g) == nil && json.Unmarshal(want, &w) == nil {
		a, _ := json.Marshal(g)
		b, _ := json.Marshal(w)
		if bytes.Equal(a, b) {
			return true
		}
	}
	s, ok := g.(string)
	return ok && s == string(want)
}
