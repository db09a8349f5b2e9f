package webapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

// values fill places by name; a value is JSON.
type values map[string]string

func (v values) Text(dst []byte, p *Place) ([]byte, bool) {
	raw, ok := v[p.Name]
	if !ok {
		return dst, false
	}
	var text string
	if json.Unmarshal([]byte(raw), &text) != nil {
		text = raw
	}
	return append(dst, text...), true
}

func (v values) JSON(dst []byte, p *Place) ([]byte, bool) {
	raw, ok := v[p.Name]
	return append(dst, raw...), ok
}

var row = values{
	"id": "7", "name": `"a b/c?d&e=é"`, "quote": `"say \"hi\"\\\n"`, "empty": `""`, "up": `".."`, "flag": "true",
	"host": `"api.example.com"`, "badhost": `"evil.com/x"`, "base": `"https://api.example.com/v1"`, "file": `"file:///etc"`, "lines": `"a\r\nX: y"`,
}

func TestValuesAreEscapedForTheirPlace(t *testing.T) {
	f := func(kind Kind, text, want string) {
		t.Helper()
		tpl, err := ParseTemplate(text, kind)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got, err := tpl.Append(nil, row)
		if err != nil {
			got = []byte("error: " + err.Error())
		}
		if bad, part := strings.CutPrefix(want, "error: "); part && strings.Contains(string(got), bad) && err != nil {
			return
		}
		if string(got) != want {
			t.Errorf("%s\n is %s\nnot %s", text, got, want)
		}
	}
	f(URL, "https://x/{id}", "https://x/7")
	f(URL, "https://x/{name}/y?q={name}#f", "https://x/a%20b%2Fc%3Fd%26e%3D%C3%A9/y?q=a%20b%2Fc%3Fd%26e%3D%C3%A9#f")
	f(URL, "https://x/{up}/y", "error: leads elsewhere")
	f(URL, "https://x/?q={up}", "https://x/?q=..")
	f(URL, "https://x/{empty}", "error: would ask for another URL")
	f(URL, "https://x/?q={empty}", "https://x/?q=")
	f(URL, "https://x/{none}", "error: {none} has no value; write {none?} or {none?default} if that may be")
	f(URL, "https://x/{none?}", "https://x/")
	f(URL, "https://x/{none?a b}", "https://x/a%20b")
	f(URL, "https://{host}:8080/{id}", "https://api.example.com:8080/7")
	f(URL, "https://{badhost}/", "error: no part of a host")
	f(URL, "https://{empty}/", "error: no part of a host")
	f(URL, "{base}/{name}?x={id}", "https://api.example.com/v1/a%20b%2Fc%3Fd%26e%3D%C3%A9?x=7")
	f(URL, "{file}", "error: begins no URL")
	f(URL, "https://x/{{{id}}}", "https://x/{7}")
	f(Query, "{name}", "a%20b%2Fc%3Fd%26e%3D%C3%A9")
	f(Header, "v={name}; {id}", "v=a b/c?d&e=é; 7")
	f(Header, "{lines}", "error: characters that a header must not have")
	f(Header, "{none?x\ny}", "error: characters that a header must not have")
	f(Text, "{name}{{}}", "a b/c?d&e=é{}")
	f(JSON, `{{"a": {id}, "b": "{id}", "c": {quote}, "d": "<{quote}>", "e": {none}, "f": {flag}}}`,
		`{"a": 7, "b": "7", "c": "say \"hi\"\\\n", "d": "<say \"hi\"\\\u000A>", "e": null, "f": true}`)
	f(JSON, `[{none?5}, {none?x}, "{none?}", "\"{id}"]`, `[5, "x", "", "\"7"]`)
	f(JSON, `"{none}"`, "error: {none} has no value")
}

func TestWhatIsNoTemplate(t *testing.T) {
	f := func(kind Kind, text, want string) {
		t.Helper()
		if _, err := ParseTemplate(text, kind); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f(URL, "https://x/{id", "a { without its }")
	f(URL, "https://x/{a{b}}", "a { without its }")
	f(URL, "https://x/id}", "a } without its {")
	f(URL, "https://x/{}", "{} names nothing")
	f(URL, "https://x/{ ?x}", "{} names nothing")
	f(JSON, `{{"a": {id}`, "is not JSON")
	f(JSON, `{{"a": {id}{id}x}}`, "is not JSON")
}

func TestAMappingBecomesJSON(t *testing.T) {
	body := configs.Object{
		{Key: "id", Value: "{id}"}, {Key: "text", Value: `x "{id}" {quote}`}, {Key: "n", Value: int64(3)}, {Key: "f", Value: 0.5}, {Key: "b", Value: true},
		{Key: "none", Value: "{none}"}, {Key: `a"b`, Value: []any{nil, "{{}}", configs.Object{}}},
	}
	tpl, err := JSONTemplate(body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tpl.Append(nil, row)
	want := `{"id":7,"text":"x \"7\" say \"hi\"\\\u000A","n":3,"f":0.5,"b":true,"none":null,"a\"b":[null,"{}",{}]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	if _, err := JSONTemplate(configs.Object{{Key: "x", Value: configs.Object{{Key: "id"}}}}); err == nil || !strings.Contains(err.Error(), `x is the mapping {id: null} to YAML; write "{id}", in quotes`) {
		t.Errorf("braces without quotes: %v", err)
	}
}

// FuzzEscape: whatever a value is, it stays a value: the URL keeps its host, its
// path's length and its parameters, the JSON its shape, the header its line.
func FuzzEscape(f *testing.F) {
	for _, v := range []string{"", "a", "../..", "a/b", "?x=1&y=2", "#", "\r\nX: y", `"},{"`, `\`, "%2e%2e", "\x00", "\xff", "é"} {
		f.Add(v)
	}
	inURL, _ := ParseTemplate("https://host/a/{v}/b?q={v}&r=1", URL)
	inJSON, _ := ParseTemplate(`{{"a": "{v}", "b": 1}}`, JSON)
	inHeader, _ := ParseTemplate("{v}", Header)
	f.Fuzz(func(t *testing.T, v string) {
		quoted, _ := json.Marshal(v)
		values := values{"v": string(quoted)}
		json.Unmarshal(quoted, &v) // as it comes back: UTF-8
		if got, err := inURL.Append(nil, values); err == nil {
			u, err := url.Parse(string(got))
			if err != nil || u.Host != "host" || strings.Count(u.EscapedPath(), "/") != 3 || u.Path != "/a/"+v+"/b" || u.Query().Get("q") != v || u.Query().Get("r") != "1" || u.Fragment != "" {
				t.Errorf("%q makes the URL %s", v, got)
			}
		}
		got, err := inJSON.Append(nil, values)
		var out map[string]any
		if err != nil || json.Unmarshal(got, &out) != nil || out["a"] != v || out["b"] != 1.0 || len(out) != 2 {
			t.Errorf("%q makes the JSON %s, %v", v, got, err)
		}
		if got, err := inHeader.Append(nil, values); err == nil && strings.ContainsAny(string(got), "\r\n\x00") {
			t.Errorf("%q makes the header %q", v, got)
		}
	})
}
