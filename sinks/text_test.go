package sinks

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// written is the text of the one file that a sink makes of a frame.
func written(t *testing.T, s Sink, f frame.Frame) string {
	t.Helper()
	env := testEnv(t, "run-1")
	parts := commit(t, s, env, rowsOf(f))
	for _, dir := range []string{"out", "."} {
		if b, err := os.ReadFile(filepath.Join(env.Dir, dir, parts[0].Path)); err == nil {
			return string(b)
		}
	}
	t.Fatalf("no file for %+v", parts)
	return ""
}

// texts is a frame of strings; "NA" stands for a missing one.
func texts(t *testing.T, name string, values ...string) frame.Frame {
	return column(t, typed(name, arrow.BinaryTypes.String), len(values), func(c *frame.Column, i int) {
		if values[i] == "NA" {
			c.AppendNull()
		} else {
			c.AppendString(values[i])
		}
	}).Value
}

func TestCSVTypes(t *testing.T) {
	got := written(t, &CSV{Path: "out", Header: true}, allTypes(t))
	want := `zz_bool,int32,int64,double,string,factor,ordered,date,instant,wall,span,numbers,words,raw,json
true,1,9007199254740993,1.5,plain,b,mid,2024-03-10,2024-03-10T03:30:00.123456-04:00,2024-03-10T07:30:00.123456,90,"[1,2]","[""a"",""b""]",AP8=,"{""a"":[1,null]}"
false,2147483647,-9223372036854775807,-0.25,"übung, ""q""
line",a,low,1969-12-31,1969-12-31T18:59:59.999999-05:00,1969-12-31T23:59:59.999999,0.5,"[null,3]","[""ö""]",eA==,"""text"""
true,-1,-1,NaN," ",b,high,1970-01-01,1969-12-31T19:00:00-05:00,1970-01-01T00:00:00,0,[4],"[""""]",IA==,0
,,,,,,,,,,,,,,
false,0,0,-Inf,"","",low,1970-01-01,1969-12-31T19:00:00-05:00,1970-01-01T00:00:00,-1,[],[],"",{}
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCSVStyles(t *testing.T) {
	f := func(c CSV, fr frame.Frame, want string) {
		t.Helper()
		c.Path = "out"
		if d := cmp.Diff(want, written(t, &c, fr)); d != "" {
			t.Error(d)
		}
	}
	two := func(s string) frame.Frame {
		b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{typed("a", arrow.PrimitiveTypes.Float64), typed("b;c", arrow.BinaryTypes.String)}, nil))
		b.Column(0).AppendDouble(1.5)
		b.Column(1).AppendString(s)
		b.Column(0).AppendNull()
		b.Column(1).AppendNull()
		return must(b.Frame())(t)
	}
	f(CSV{Header: true}, two("x"), "a,b;c\n1.5,x\n,\n")
	f(CSV{Header: true, Delimiter: ";", Decimal: ",", LineEnding: "crlf"}, two("x,y"), "a;\"b;c\"\r\n1,5;x,y\r\n;\r\n")
	f(CSV{Delimiter: `\t`}, two("a\tb"), "1.5\t\"a\tb\"\n\t\n")
	f(CSV{NA: "NA"}, two("NA"), "1.5,\"NA\"\nNA,NA\n")
	f(CSV{NA: "NA"}, two(""), "1.5,\nNA,NA\n")
	f(CSV{Quote: "strings", Header: true}, two("x"), "\"a\",\"b;c\"\n1.5,\"x\"\n,\n")
	f(CSV{Quote: "all"}, two("x"), "\"1.5\",\"x\"\n,\n")
	f(CSV{Quote: "none"}, two(""), "1.5,\n,\n")
	// an empty line would read as no row
	f(CSV{}, texts(t, "x", "a", "NA", "", "\"", `a"b"c`), "a\nNA\n\n\"\"\"\"\n\"a\"\"b\"\"c\"\n")
}

func TestCSVQuoteNoneRefuses(t *testing.T) {
	w := open(t, &CSV{Path: "out", Quote: "none"}, testEnv(t, "run-1"))
	err := w.Write(t.Context(), rowsOf(texts(t, "city", "Rome", "Paris, Texas")))
	if err == nil || !strings.Contains(err.Error(), `column "city", row 2 of the file: value "Paris, Texas" needs quotes`) {
		t.Error(err)
	}
}

func TestNDJSONTypes(t *testing.T) {
	got := strings.Split(written(t, &NDJSON{Path: "out"}, allTypes(t)), "\n")
	for i, want := range []string{
		`{"zz_bool":true,"int32":1,"int64":9007199254740993,"double":1.5,"string":"plain","factor":"b","ordered":"mid","date":"2024-03-10","instant":"2024-03-10T03:30:00.123456-04:00","wall":"2024-03-10T07:30:00.123456","span":90,"numbers":[1,2],"words":["a","b"],"raw":"AP8=","json":{"a":[1,null]}}`,
		`{"zz_bool":false,"int32":2147483647,"int64":-9223372036854775807,"double":-0.25,"string":"übung, \"q\"\nline",`,
		`{"zz_bool":true,"int32":-1,"int64":-1,"double":null,`,
		`{"zz_bool":null,"int32":null,`,
	} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("line %d: %s", i+1, got[i])
		}
	}
	got = strings.Split(written(t, &NDJSON{Path: "out", Nulls: "drop", NaN: "string"}, allTypes(t)), "\n")
	if got[3] != "{}" || !strings.Contains(got[2], `"double":"NaN"`) || !strings.Contains(got[4], `"double":"-Inf"`) {
		t.Errorf("%q", got)
	}
}

// Nested JSON stays on its line whatever its layout was.
func TestNDJSONInlinesJSON(t *testing.T) {
	f := column(t, typed("j", arrow.BinaryTypes.String, frame.MetaJSON, "1"), 2, func(c *frame.Column, i int) {
		c.AppendString([]string{"{\n  \"a\": 1\n}", "not json"}[i])
	})
	if got := written(t, &NDJSON{Path: "out"}, f.Value); got != "{\"j\":{\"a\":1}}\n{\"j\":\"not json\"}\n" {
		t.Errorf("%q", got)
	}
}

func TestStdout(t *testing.T) {
	f := func(s Stdout, want string, batches ...frame.Frame) {
		t.Helper()
		var b bytes.Buffer
		s.to = &b
		var all []*stages.Rows
		for _, fr := range batches {
			all = append(all, rowsOf(fr))
		}
		if parts := commit(t, &s, testEnv(t, "run-1"), all...); len(parts) > 0 {
			t.Errorf("parts %+v", parts)
		}
		if d := cmp.Diff(want, b.String()); d != "" {
			t.Error(d)
		}
	}
	one, two := rows(0, 0, 2).Value, rows(0, 2, 3).Value
	f(Stdout{Format: "csv", Header: true}, "id,name,part,score\n0,,x,0\n1,name b,y/z,0.5\n2,name c,é,1\n3,,x,1.5\n4,name e,y/z,2\n", one, two)
	f(Stdout{Format: "ndjson"}, `{"id":0,"name":null,"part":"x","score":0}`+"\n"+`{"id":1,"name":"name b","part":"y/z","score":0.5}`+"\n", one)
	f(Stdout{Rows: 3}, `     id  name      part         score
<int64>  <string>  <string>  <double>
      0  NA        x                0
      1  name b    y/z            0.5
      2  name c    é                1
# 2 more rows
`, one, two)
	f(Stdout{}, "")
}

// Rows are on the screen before the next batch comes.
func TestStdoutDoesNotHoldBack(t *testing.T) {
	var b bytes.Buffer
	w := open(t, &Stdout{Format: "csv", to: &b}, testEnv(t, "run-1"))
	if err := w.Write(t.Context(), rowsOf(texts(t, "x", "first"))); err != nil {
		t.Fatal(err)
	}
	if b.String() != "first\n" {
		t.Errorf("%q", b.String())
	}
}
