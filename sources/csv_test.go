package sources

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// flatten prints a source's rows, a line each, after a line of types.
func flatten(t testing.TB, s Source, env *stages.Env) string {
	t.Helper()
	var b strings.Builder
	r, err := s.Open(t.Context(), env, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(t.Context())
		if b.Len() == 0 { // some know their columns only now
			writeSchema(&b, r.Schema())
		}
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		writeRows(&b, read.Frame)
	}
}

func writeSchema(b *strings.Builder, s *frame.Schema) {
	for i, f := range s.Fields() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%s %s", f.Name, frame.TypeName(f))
	}
	b.WriteByte('\n')
}

func writeRows(b *strings.Builder, f frame.Frame) {
	for row := range int(f.NumRows()) {
		for i, c := range f.Columns() {
			if i > 0 {
				b.WriteByte('|')
			}
			if c.IsNull(row) {
				b.WriteString("<NA>")
			} else {
				b.WriteString(c.ValueStr(row))
			}
		}
		b.WriteByte('\n')
	}
}

// writeFile makes a file in the test's directory and returns an environment there.
func files(t testing.TB, nameText ...string) *stages.Env {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(nameText); i += 2 {
		path := filepath.Join(dir, nameText[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(nameText[i+1]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return &stages.Env{Dir: dir, Parallel: 2, Stage: "source"}
}

func csvOf(c CSV) *CSV {
	if c.Path == nil {
		c.Path = Paths{"a.csv"}
	}
	if c.NA == nil {
		c.NA = []string{"", "NA"}
	}
	c.Header = c.Names == nil
	return &c
}

func TestCSVTypes(t *testing.T) {
	f := func(text string, c CSV, want string) {
		t.Helper()
		if got := flatten(t, csvOf(c), files(t, "a.csv", text)); got != strings.TrimLeft(want, "\n") {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	}
	f("b,i,l,d,x,t,s\nTRUE,1,3000000000,2024-02-29,1.5,2024-01-01T10:00:00Z,\"NA\"\n NA ,NA,,,NA,NA,NA\n", CSV{}, `
b bool, i int32, l int64, d date, x double, t timestamp[UTC], s string
true|1|3000000000|2024-02-29|1.5|2024-01-01T10:00:00Z|NA
<NA>|<NA>|<NA>|<NA>|<NA>|<NA>|<NA>
`)
	f("x;y\n1,5;a\n-2;\"b;c\"\n", CSV{Delimiter: ";", Decimal: ","}, "\nx double, y string\n1.5|a\n-2|b;c\n")
	f("x,y\n1,2\n", CSV{Columns: []string{"y"}, Types: map[string]string{"y": "string"}}, "\ny string\n2\n")
	f("1,a\n2,b\n", CSV{Names: []string{"n", "s"}}, "\nn int32, s string\n1|a\n2|b\n")
	f("junk\nx\n7\n", CSV{Skip: 1}, "\nx int32\n7\n")
	f("x,y\n1\n2,b\n", CSV{Ragged: "pad"}, "\nx int32, y string\n1|<NA>\n2|b\n")
	f("\xef\xbb\xbfx\n1\n", CSV{}, "\nx int32\n1\n")
	f("x\ncaf\xe9\n", CSV{Encoding: "latin1"}, "\nx string\ncafé\n")
	f("\xff\xfex\x00\n\x00\xe9\x00\n\x00", CSV{}, "\nx string\né\n")
	f("x,y\n", CSV{}, "\nx string, y string\n")
	f("f\nb\na\nb\n", CSV{Types: map[string]string{"f": "factor"}}, "\nf factor\nb\na\nb\n")
}

func TestCSVBadValues(t *testing.T) {
	f := func(text string, c CSV, want string) {
		t.Helper()
		r, err := csvOf(c).Open(t.Context(), files(t, "a.csv", text), "")
		if err == nil {
			defer r.Close()
			_, err = r.Next(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
	f("", CSV{}, "a.csv: the file is empty")
	f("x,x\n1,2\n", CSV{}, `two columns are called "x" (the second is field 2)`)
	f("x,y\n1,2\nabc,1\n", CSV{Types: map[string]string{"x": "int32"}}, `csv: a.csv:3:1: field 1 (x): "abc" is not an int32`)
	f("x,y\n1,2,3\n", CSV{}, "a.csv:2:1: 3 fields, not 2")
	f("x,y\n1,\"a\nb\" c\n", CSV{}, "a.csv:3:2: field 2 (y): a quoted field does not end before the comma")
	f("x,yy\ncaf\xe9,1\n", CSV{}, "a.csv:2:1: field 1 (x): the text is not UTF-8; set encoding")
	f("x\n1\n", CSV{Columns: []string{"z"}}, `no column "z" in a.csv`)
	f("x\n1\n", CSV{Path: Paths{"b.csv"}}, "b.csv: no such file; did you mean a.csv")
	f("x\n\"1\n", CSV{}, "field 1 (x): a quoted field does not end")
	f("x\n\"1"+strings.Repeat("\n", 1<<19), CSV{MaxRecord: 1 << 18}, "a.csv:2: a record is longer than max_record")
}
