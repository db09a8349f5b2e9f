package sources

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/stages"
)

// rowsOf reads a source to its end or first error.
func rowsOf(t testing.TB, s Source, env *stages.Env) (rows int64, err error) {
	t.Helper()
	r, err := s.Open(t.Context(), env, "")
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		read, err := r.Next(t.Context())
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += read.Frame.NumRows()
	}
}

func numbers(n int) string {
	var b strings.Builder
	b.WriteString("id,sq\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,%d\n", i, i*7919%10007)
	}
	return b.String()
}

func compressions(t *testing.T, text string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
		"gz":  func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"zst": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		"xz":  func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	} {
		var b bytes.Buffer
		w, err := open(&b)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out[name] = b.Bytes()
	}
	return out
}

func TestCompression(t *testing.T) {
	for kind, data := range compressions(t, numbers(30000)) {
		t.Run(kind, func(t *testing.T) {
			// The name does not matter, the first bytes do.
			if n, err := rowsOf(t, csvOf(CSV{}), files(t, "a.csv", string(data))); n != 30000 || err != nil {
				t.Errorf("%d rows, %v", n, err)
			}
			n, err := rowsOf(t, csvOf(CSV{}), files(t, "a.csv", string(data[:len(data)*2/3])))
			if err == nil || !strings.Contains(err.Error(), "a.csv: the compressed data ends early, at byte") || !strings.Contains(err.Error(), "the file is truncated (after ") {
				t.Errorf("cut off: %v", err)
			}
			var told int64
			if i := strings.LastIndex(err.Error(), "(after "); i >= 0 {
				fmt.Sscanf(err.Error()[i:], "(after %d rows)", &told)
			}
			if n != told || n == 0 {
				t.Errorf("%d rows were read before: %v", n, err)
			}
		})
	}
	if n, err := rowsOf(t, csvOf(CSV{}), files(t, "a.csv", string(smallBzip2))); n != 1 || err != nil {
		t.Errorf("bzip2: %d rows, %v", n, err)
	}
}

func TestGzipDamaged(t *testing.T) {
	data := compressions(t, numbers(30000))["gz"]
	data = slices.Clone(data)
	data[len(data)-5] ^= 0xff // in the checksum
	if _, err := rowsOf(t, csvOf(CSV{}), files(t, "a.csv", string(data))); err == nil || !strings.Contains(err.Error(), "a.csv: the compressed data is damaged near byte") {
		t.Errorf("error %v", err)
	}
}

// readRejects reads a source to its end, and keeps what it rejects.
func readRejects(t testing.TB, s Source, env *stages.Env) (rows int64, rejected []*stages.Rejected) {
	t.Helper()
	r, err := s.Open(t.Context(), env, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(t.Context())
		if err == io.EOF {
			return rows, rejected
		}
		if err != nil {
			t.Fatal(err)
		}
		rows += read.Frame.NumRows()
		rejected = append(rejected, read.Rejected...)
	}
}

func TestReject(t *testing.T) {
	const text = "id,name\n0,a\nx,b\n2,\"c\"d\n3\n4,e\n5,f,g\n"
	for _, policy := range []string{"skip", "dead_letter"} {
		env := files(t, "a.csv", text, "b.csv", "id,name\ny,z\n")
		env.Stage = "source"
		n, got := readRejects(t, csvOf(CSV{Path: Paths{"a.csv", "b.csv"}, Types: map[string]string{"id": "int32"}, OnError: policy}), env)
		if n != 2 {
			t.Fatalf("%s: %d rows", policy, n)
		}
		want := []struct {
			first    int64
			raw, err string
		}{
			{1, "x,b", `a.csv:3:1: field 1 (id): "x" is not an int32`},
			{2, `2,"c"d`, "a.csv:4:5: field 2 (name): a quoted field does not end"},
			{3, "3", "a.csv:5:1: 1 fields, not 2 (ragged: pad reads short records)"},
			{5, "5,f,g", "a.csv:7:1: 3 fields, not 2"},
			{6, "y,z", `b.csv:2:1: field 1 (id): "y" is not an int32`},
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d rows rejected, want %d", policy, len(got), len(want))
		}
		for i, r := range got {
			w := want[i]
			if r.First != w.first || string(r.Raw) != w.raw || !strings.HasPrefix(r.Err.Error(), w.err) || r.Stage != "source" || r.Drop != (policy == "skip") {
				t.Errorf("%s: rejected %d %q: %v (drop %t), want %+v", policy, r.First, r.Raw, r.Err, r.Drop, w)
			}
		}
	}
}

// Where no line is good the lines still arrive, one read for each piece of text.
func TestRejectAll(t *testing.T) {
	const lines = 25000
	env := files(t, "a.csv", "id\n"+strings.Repeat("x\n", lines), "a.ndjson", strings.Repeat("x\n", lines))
	for _, s := range []Source{
		csvOf(CSV{Path: Paths{"a.csv"}, Types: map[string]string{"id": "int32"}, OnError: "dead_letter"}),
		&NDJSON{Path: Paths{"a.ndjson"}, Schema: configs.Pairs{{Name: "id", Value: "int32"}}, OnError: "dead_letter"},
	} {
		rows, rejected := readRejects(t, s, env)
		if rows != 0 || len(rejected) != lines {
			t.Fatalf("%T: %d rows and %d rejected, want 0 and %d", s, rows, len(rejected), lines)
		}
		for i, r := range rejected {
			if r.First != int64(i) {
				t.Fatalf("%T: rejected record %d says that it is number %d", s, i, r.First)
			}
		}
	}
}

// The columns are those of the first good records, wherever they are.
func TestInferFromTheFirstGoodRecords(t *testing.T) {
	env := files(t, "a.ndjson", "x\ny\n", "b.ndjson", "", "c.ndjson", "{\"id\":1}\nz\n")
	rows, rejected := readRejects(t, &NDJSON{Path: Paths{"*.ndjson"}, OnError: "skip"}, env)
	if rows != 1 || len(rejected) != 3 {
		t.Errorf("%d rows and %d rejected, want 1 and 3", rows, len(rejected))
	}
}

func TestNDJSON(t *testing.T) {
	f := func(text string, s NDJSON, want string) {
		t.Helper()
		s.Path = Paths{"a.ndjson"}
		if got := flatten(t, &s, files(t, "a.ndjson", text)); got != strings.TrimLeft(want, "\n") {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	}
	f("{\"i\":1,\"b\":true,\"s\":\"é\"}\n\n{\"d\":1.5,\"i\":null,\"o\":{\"x\":[1]}}", NDJSON{}, `
i int64, b bool, s string, d double, o json
1|true|é|<NA>|<NA>
<NA>|<NA>|<NA>|1.5|{"x":[1]}
`)
	f(`{"t":"2024-01-01T00:00:00Z","n":1,"x":0}`, NDJSON{Types: map[string]string{"t": "timestamp[UTC]"}, Columns: []string{"n", "t"}}, `
n int64, t timestamp[UTC]
1|2024-01-01T00:00:00Z
`)
	f(`{"a":1,"b":[1,2]}`, NDJSON{Schema: configs.Pairs{{Name: "b", Value: "list<double>"}, {Name: "c", Value: "string"}}, UnknownKeys: "ignore"}, `
b list<double>, c string
[1,2]|<NA>
`)
}

func TestNDJSONBad(t *testing.T) {
	const text = `{"a":1,"b":"x"}
{"a":1.5,"b":"y"}
{"a":2
{"a":3,"c":1}
[1]
{"a":4}
`
	source := func(policy string) *NDJSON {
		return &NDJSON{Path: Paths{"a.ndjson"}, OnError: policy,
			Schema: configs.Pairs{{Name: "a", Value: "int64"}, {Name: "b", Value: "string"}}}
	}
	env := files(t, "a.ndjson", text)
	if _, err := rowsOf(t, source("stop"), env); err == nil || !strings.HasPrefix(err.Error(), `ndjson: a.ndjson:2: column "a": 1.5 is not an int64 (types: {a: double} reads it`) {
		t.Errorf("error %v", err)
	}
	n, got := readRejects(t, source("dead_letter"), env)
	if n != 2 {
		t.Errorf("%d rows", n)
	}
	want := []string{"a.ndjson:2: ", "a.ndjson:3:8: ", `a.ndjson:4: key "c" is in no record before`, "a.ndjson:5:1: "}
	if len(got) != len(want) {
		t.Fatalf("%d rejected, want %d", len(got), len(want))
	}
	for i, r := range got {
		if !strings.HasPrefix(r.Err.Error(), want[i]) || r.First != int64(i+1) {
			t.Errorf("rejected %d: %v, want %s", r.First, r.Err, want[i])
		}
	}
	if _, err := rowsOf(t, &NDJSON{Path: Paths{"a.ndjson"}}, files(t, "a.ndjson", "a,b\n1,2\n")); err == nil || !strings.Contains(err.Error(), "no record is a JSON object: a.ndjson:1:1:") {
		t.Errorf("CSV as NDJSON: %v", err)
	}
}

func TestStandardInput(t *testing.T) {
	defer func(r io.Reader) { standardInput = r }(standardInput)
	r, w := io.Pipe()
	standardInput = r
	go func() {
		io.WriteString(w, numbers(25000))
		w.Close()
	}()
	if n, err := rowsOf(t, csvOf(CSV{Path: Paths{"-"}}), &stages.Env{Parallel: 2}); n != 25000 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A source that waits for its input still ends when it is told to.
func TestStandardInputWaits(t *testing.T) {
	defer func(r io.Reader) { standardInput = r }(standardInput)
	r, w := io.Pipe()
	defer w.Close()
	standardInput = r
	go io.WriteString(w, numbers(12000))
	reader, err := csvOf(CSV{Path: Paths{"-"}}).Open(t.Context(), &stages.Env{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tr := reader.Traits(); tr.Replayable {
		t.Error("standard input cannot be replayed")
	}
	waits, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := reader.Next(waits); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}

// So does one that still waits for the header.
func TestOpenWaits(t *testing.T) {
	defer func(r io.Reader) { standardInput = r }(standardInput)
	r, w := io.Pipe()
	defer w.Close()
	standardInput = r
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		io.WriteString(w, "id,")
		cancel()
	}()
	if _, err := csvOf(CSV{Path: Paths{"-"}}).Open(ctx, &stages.Env{}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPaths(t *testing.T) {
	env := files(t, "b.csv", "x\n2\n", "a.csv", "x\n1\n", "sub/c.csv", "x\n3\n", "sub/deep/d.csv.gz", "x\n4\n",
		".hidden.csv", "", "_manifest.csv", "", "sub/.tmp/e.csv", "", "sub/note.txt", "", "odd[1].csv", "x\n5\n")
	f := func(paths Paths, want ...string) {
		t.Helper()
		found, err := find(t.Context(), env, "", search{paths: paths, suffixes: compressedNames(".csv")})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found.files {
			got = append(got, f.name)
			s, err := f.stream(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", paths, got, want)
		}
	}
	f(Paths{"b.csv", "a.csv"}, "b.csv", "a.csv")
	f(Paths{"?.csv"}, "a.csv", "b.csv")
	f(Paths{"odd[1].csv"}, "odd[1].csv")
	f(Paths{"**/*.csv*"}, "a.csv", "b.csv", "odd[1].csv", "sub/c.csv", "sub/deep/d.csv.gz")
	f(Paths{"sub/**/*.gz"}, "sub/deep/d.csv.gz")
	f(Paths{"sub"}, "sub/c.csv", "sub/deep/d.csv.gz")
	f(Paths{"./sub/"}, "./sub/c.csv", "./sub/deep/d.csv.gz")
	f(Paths{filepath.Join(env.Dir, "a*")}, filepath.Join(env.Dir, "a.csv"))

	bad := func(want string, paths ...string) {
		t.Helper()
		if _, err := find(t.Context(), env, "", search{paths: paths, suffixes: []string{".csv"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", paths, err, want)
		}
	}
	bad("read c.csv: no such file; did you mean a.csv, b.csv in ", "c.csv")
	bad("read sbu/c.csv: no such file; did you mean sub in ", "sbu/c.csv")
	bad("read *.tsv: no file matches", "*.tsv")
	bad("read nowhere/*.csv: no such file in ", "nowhere/*.csv")
	bad("is not a pattern: a [ needs its ]", "[.csv")
	bad("is not a pattern: ** stands between slashes", "a**.csv")
	bad("cannot be one of several files", "-", "a.csv")
	bad("no file is named")
}

func TestFilesDisagree(t *testing.T) {
	env := files(t, "a.csv", "x,y\n1,2\n", "b.csv", "y,x\n4,3\n", "c.csv", "x,z\n1,2\n", "d.csv", "x,y,z\n5,6,7\n", "e.csv", "x,y\nlong,1\n")
	got := flatten(t, csvOf(CSV{Path: Paths{"a.csv", "b.csv"}}), env)
	if want := "x int32, y int32\n1|2\n3|4\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f := func(want string, c CSV) {
		t.Helper()
		if _, err := rowsOf(t, csvOf(c), env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	f(`csv: c.csv: no column "y", which a.csv has`, CSV{Path: Paths{"a.csv", "c.csv"}})
	f(`csv: d.csv: column "z" is not in a.csv; name the columns to keep with columns`, CSV{Path: Paths{"a.csv", "d.csv"}})
	f(`csv: e.csv:2:1: field 1 (x): "long" is not an int32 (types: {x: string} reads it`, CSV{Path: Paths{"a.csv", "e.csv"}})
	if n, err := rowsOf(t, csvOf(CSV{Path: Paths{"a.csv", "d.csv"}, Columns: []string{"y"}}), env); n != 2 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

// smallBzip2 is "x\n1\n" as bzip2 compresses it; Go has no writer for it.
var smallBzip2 = []byte{
	0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0xcd, 0xea,
	0xc6, 0x80, 0x00, 0x00, 0x01, 0xc8, 0x80, 0x00, 0x10, 0x20, 0x00, 0x00,
	0x40, 0x20, 0x00, 0x30, 0xcc, 0x0c, 0x7a, 0x82, 0x71, 0x77, 0x24, 0x53,
	0x85, 0x09, 0x0c, 0xde, 0xac, 0x68, 0x00,
}
