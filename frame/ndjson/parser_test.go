package ndjson

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// text is a frame with a row a line, columns joined by |.
func text(f frame.Frame) string {
	var b strings.Builder
	for i := range int(f.NumRows()) {
		for k := range int(f.NumCols()) {
			if k > 0 {
				b.WriteByte('|')
			}
			b.Write(frame.AppendText(nil, f.Column(k), i, frame.TextOptions{Null: "NA"}))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestInference(t *testing.T) {
	f := func(lines, schema, want string) {
		t.Helper()
		in := NewInferrer(nil)
		for line := range strings.SplitSeq(lines, "\n") {
			if err := in.Sample([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		s := in.Schema()
		if got := strings.Join(strings.Fields(frame.FormatSchema(s)), " "); got != schema {
			t.Errorf("schema %q, want %q", got, schema)
		}
		p := NewParser(s, Options{})
		for line := range strings.SplitSeq(lines, "\n") {
			if err := p.Append([]byte(line)); err != nil {
				t.Error(err)
			}
		}
		fr, err := p.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if got := text(fr); got != want {
			t.Errorf("rows %q, want %q", got, want)
		}
	}
	f(`{"a":1,"b":"x"}`+"\n"+`{"b":"y","a":null}`, "a int64 b string", "1|x\nNA|y\n")
	f(`{"a":1}`+"\n"+`{"a":2.5}`, "a double", "1\n2.5\n")
	f(`{"a":true}`+"\n"+`{"a":false}`, "a bool", "true\nfalse\n")
	f(`{"a":true}`+"\n"+`{"a":1.50}`, "a string", "true\n1.50\n")
	f(`{"a":1}`+"\n"+`{"a":"x"}`, "a string", "1\nx\n")
	f(`{"a":"x"}`+"\n"+`{"a":{"b":[1, 2]}}`, "a json", "\"x\"\n{\"b\":[1, 2]}\n")
	f(`{"a":null}`, "a string", "NA\n")
	f(`{"a":9007199254740993}`, "a int64", "9007199254740993\n")
	f(`{"a":12345678901234567891}`, "a string", "12345678901234567891\n")
	f(`{"a":"\u00e9\ud834\udd1e\n"}`, "a string", "é𝄞\n\n")
	f(`{"a":1}`+"\n"+`{}`+"\n"+`{"b":2}`, "a int64 b int64", "1|NA\nNA|NA\nNA|2\n")
	f(`{"\u0061b":1,"c":2}`, "ab int64 c int64", "1|2\n")
}

func TestDeclared(t *testing.T) {
	declared := map[string]string{"d": "date", "t": "timestamp[UTC]", "l": "list<double>", "f": "factor", "i": "int32", "raw": "binary"}
	in := NewInferrer(fields(t, declared))
	p := NewParser(in.Schema(), Options{})
	for _, line := range []string{
		`{"d":"2024-02-29","t":"2024-02-29T10:00:00+01:00","l":[1,null,2.5],"f":"x","i":3,"raw":"AAE="}`,
		`{"l":[]}`,
		`{"l":null,"d":null}`,
	} {
		if err := p.Append([]byte(line)); err != nil {
			t.Error(err)
		}
	}
	fr, err := p.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(fr), "2024-02-29|x|3|[1,null,2.5]|AAE=|2024-02-29T09:00:00Z\nNA|NA|NA|[]|NA|NA\nNA|NA|NA|NA|NA|NA\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrors(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		declared := map[string]string{"a": "int64", "b": "bool", "d": "date", "s": "string", "l": "list<int32>"}
		p := NewParser(NewInferrer(fields(t, declared)).Schema(), Options{})
		good := `{"a":1,"b":true,"d":"2024-02-29","s":"é","l":[1]}`
		if err := p.Append([]byte(good)); err != nil {
			t.Fatal(err)
		}
		err := p.Append([]byte(line))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", line, err, want)
		}
		// The row that failed has left nothing behind.
		if err := p.Append([]byte(good)); err != nil {
			t.Error(err)
		}
		fr, err := p.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if got, row := text(fr), "1|true|2024-02-29|[1]|é\n"; got != row+row {
			t.Errorf("%s: left %q", line, got)
		}
	}
	f(`{"a":1,"b":true`, `JSON, byte 16: ends where a comma or '}' was expected`)
	f(`{"a":1,}`, `JSON, byte 8: '}' where a key in quotes was expected`)
	f(`{"a" 1}`, `JSON, byte 6: '1' where a colon was expected`)
	f(`{"a":1} x`, `JSON, byte 9: 'x' where the end of the record was expected`)
	f(`{"a":1,"a":2}`, `JSON, byte 8: the key "a" twice in one record`)
	f(`{"s":"`+"\xff"+`"}`, `JSON, byte 7: not UTF-8`)
	f(`{"s":"\ud800"}`, `JSON, byte 7: half of a surrogate pair`)
	f(`{"s":"a`+"\n"+`"}`, `JSON, byte 8: control character 0x0a in a string`)
	f(`{"s":"abc`, `JSON, byte 6: a string without end`)
	f(`{"s":"\x"}`, `JSON, byte 7: an escape that JSON does not have`)
	f(`{"a":007}`, `JSON, byte 7: '0' where a comma or '}' was expected`)
	f(`{"a":-}`, `JSON, byte 7: '}' where a digit was expected`)
	f(`[1]`, `JSON, byte 1: '[' where a record ({…}) was expected`)
	f(``, `JSON, byte 1: ends where a record ({…}) was expected`)
	f(`{"s":`+strings.Repeat("[", 300)+strings.Repeat("]", 300)+`}`, `JSON, byte 261: nested deeper than 256`)
	f(`{"b":true,"l":[1,2],"a":1.5}`, `column "a": 1.5 in row 2 (double) does not fit int64; declare the column as double`)
	f(`{"l":[1,"x"]}`, `column "l": "x" in row 2 (string) does not fit list<int32>; declare the column as json`)
	f(`{"d":"2024-02-30"}`, `column "d": "2024-02-30" in row 2 (string) does not fit date; declare the column as string`)
	f(`{"s":{"x":1}}`, `column "s": {"x":1} in row 2 (json) does not fit string; declare the column as json`)
	f(`{"b":0}`, `column "b": 0 in row 2 (int64) does not fit bool; declare the column as string`)
	f(`{"new":[1]}`, `column "new" (json) is not expected; the records before did not have it; declare it, or ignore what is not declared`)
}

func TestIgnore(t *testing.T) {
	p := NewParser(NewInferrer(fields(t, map[string]string{"a": "int64"})).Schema(), Options{Ignore: true})
	if err := p.Append([]byte(`{"x":{"a":2},"a":1,"y":[1,{"z":null}]}`)); err != nil {
		t.Error(err)
	}
	if err := p.Append([]byte(`{"x":1,"x":2}`)); err == nil {
		t.Error("an ignored key may not be there twice either")
	}
	if p.Len() != 1 {
		t.Errorf("%d rows", p.Len())
	}
}

func BenchmarkParser(b *testing.B) {
	var doc bytes.Buffer
	for i := range frame.Rows {
		fmt.Fprintf(&doc, `{"id":%d,"val":%g,"ok":%t,"lang":"l%d","user":"user-%012d","ts":"2024-02-29T10:%02d:%02d.5Z"}`+"\n",
			i, float64(i)*1.25, i%3 == 0, i%50, i, i/60%60, i%60)
	}
	in := NewInferrer(fields(b, map[string]string{"ts": "timestamp[UTC]"}))
	lines := bytes.Split(bytes.TrimSpace(doc.Bytes()), []byte("\n"))
	if err := in.Sample(lines[0]); err != nil {
		b.Fatal(err)
	}
	if err := in.Sample(lines[1]); err != nil {
		b.Fatal(err)
	}
	p := NewParser(in.Schema(), Options{})
	b.SetBytes(int64(doc.Len()))
	b.ReportAllocs()
	for b.Loop() {
		for _, line := range lines {
			if err := p.Append(line); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := p.Frame(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/frame.Rows, "ns/row")
}
