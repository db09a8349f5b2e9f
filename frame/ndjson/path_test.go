package ndjson

import (
	"strings"
	"testing"
)

func TestPathsFindValues(t *testing.T) {
	const doc = ` {"a": {"b": [10, {"c": "x\"y"}, [1, 2]], "e.f": true, "é": null}, "n": -1.5e3, "empty": [], "o": {}} `
	if err := Valid([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	f := func(path, want string) {
		t.Helper()
		p, err := ParsePath(path)
		if err != nil {
			t.Error(err)
			return
		}
		got, ok := p.Find([]byte(doc))
		if !ok {
			got = []byte("none")
		}
		if string(got) != want || p.String() != path {
			t.Errorf("%s is %s, want %s", p, got, want)
		}
	}
	f("", strings.TrimSpace(doc))
	f("n", "-1.5e3")
	f("a.b[0]", "10")
	f("a.b[1].c", `"x\"y"`)
	f("a.b[2][1]", "2")
	f("a.b[-1][-2]", "1")
	f(`a["e.f"]`, "true")
	f(`["a"]["é"]`, "null")
	f("a.é", "null")
	f("o", "{}")
	f("a.b[3]", "none")
	f("a.b[-4]", "none")
	f("a.b.c", "none")
	f("a[0]", "none")
	f("empty[0]", "none")
	f("o.x", "none")
	f("N", "none")
	f("n.x", "none")
}

func TestWhatIsNoPath(t *testing.T) {
	for _, path := range []string{".", "a.", ".a", "a..b", "a[", "a[x]", "a[0", "a[]", `a["b`, `a["b"`, `["]`, "a[0]b", "a.[0]"} {
		if p, err := ParsePath(path); err == nil {
			t.Errorf("%s was read as %v", path, p.steps)
		}
	}
}

func TestElementsOfAnArray(t *testing.T) {
	f := func(array, want string) {
		t.Helper()
		var got []string
		err := Elements([]byte(array), func(e []byte) error { got = append(got, string(e)); return nil })
		if s := strings.Join(got, " "); err != nil || s != want {
			t.Errorf("%s has %s, %v", array, s, err)
		}
	}
	f(`[]`, "")
	f(` [ 1 , {"a":[2]},"x,y" ] `, `1 {"a":[2]} "x,y"`)
	if err := Elements([]byte(`{"a":1}`), nil); err == nil || !strings.Contains(err.Error(), "an object") {
		t.Errorf("an object: %v", err)
	}
}

func TestTextOfAValue(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		got, ok := Text(nil, []byte(value))
		if string(got) != want || ok != (value != "null") {
			t.Errorf("%s is %q, %v", value, got, ok)
		}
	}
	f(`"a\n\u00e9"`, "a\né")
	f(`12.50`, "12.50")
	f(`true`, "true")
	f(`{"a": 1}`, `{"a": 1}`)
	f(`null`, "")
}

// FuzzPath: whatever the document and the path, finding ends without a panic,
// and what it finds is JSON.
func FuzzPath(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`, "a[1].b")
	f.Add(`[[],{}]`, `[-1]["x"]`)
	f.Fuzz(func(t *testing.T, doc, path string) {
		p, err := ParsePath(path)
		if err != nil || Valid([]byte(doc)) != nil {
			return
		}
		if v, ok := p.Find([]byte(doc)); ok {
			if err := Valid(v); err != nil {
				t.Errorf("%s in %s is %s: %v", path, doc, v, err)
			}
		}
	})
}

func TestWhereAPathEndsTooEarly(t *testing.T) {
	f := func(path, doc, want string) {
		t.Helper()
		p, err := ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if a := p.Absent([]byte(doc)); a != nil {
			got = a.Key + " in " + a.Inside + " " + string(a.Of)
		}
		if got != want {
			t.Errorf("%s of %s: %q, want %q", path, doc, got, want)
		}
	}
	f("a.b", `{"a": {"b": 1}}`, "")
	f("a.b", `{"a": {"b": null}}`, "")
	f("a.b", `{"a": null}`, "")
	f("a[3]", `{"a": []}`, "")
	f("", `[]`, "")
	f("a.b", ` {"a": {"c": 1} } `, `b in a {"c": 1}`)
	f("a.b", `{"b": {}}`, `a in  {"b": {}}`)
	f("a.b.c", `{"a": "x"}`, `b in a "x"`)
	f("a[0].b", `{"a": [{}]}`, `b in a[…] {}`)
	f("a", `[1]`, `a in  [1]`)
}
