package sources

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/stages"
)

// TestReparse: records that were rejected are parsed alone, with the columns of
// the input, whatever is wrong with those beside them.
func TestReparse(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"in.csv": "id,x,note\n1,2,a\n3,4,b\n", "in.ndjson": `{"id": 1, "x": 2}` + "\n",
		"part/day=1/in.csv": "id\n1\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	env := (&stages.Env{Dir: dir, Parallel: 1}).For("source")
	f := func(s Reparser, texts []string, rows int64, bad ...int64) {
		t.Helper()
		p, err := s.Reparse(t.Context(), env)
		if err != nil {
			t.Error(err)
			return
		}
		var raw [][]byte
		for _, text := range texts {
			raw = append(raw, []byte(text))
		}
		got, rejected, err := p.Parse("dead letter", raw)
		if err != nil {
			t.Error(err)
			return
		}
		if got.NumRows() != rows || !got.Schema().Equal(p.Schema()) || len(rejected) != len(bad) {
			t.Errorf("%d rows of %v, %d rejected", got.NumRows(), got.Schema(), len(rejected))
			return
		}
		for i, r := range rejected {
			if r.First != bad[i] || string(r.Raw) != texts[bad[i]] || r.Stage != "source" || r.Attempt != 1 {
				t.Errorf("rejected %d is %+v, with %q", i, r, r.Raw)
			}
		}
	}
	csv := &CSV{Path: Paths{"in.csv"}, Header: true, InferRows: 10, NA: []string{"NA"}, OnError: "dead_letter"}
	f(csv, []string{"5,6,c"}, 1)
	f(csv, []string{"5,six,c", "7,8,d"}, 1, 0)
	f(csv, []string{`5,6,"not closed`, "7,8,d", "9", "1,NA,e"}, 2, 0, 2)
	f(csv, []string{"5,6,\"two\nlines\"", "x,y"}, 1, 1)
	f(csv, nil, 0)
	kept := *csv
	kept.Columns = []string{"x", "id"}
	f(&kept, []string{"5,6,c"}, 1)
	json := &NDJSON{Path: Paths{"in.ndjson"}, InferRows: 10, OnError: "dead_letter"}
	f(json, []string{`{"id": 3, "x": 4}`, `{"id": "three"}`, `{`, `{"x": 5}`}, 2, 1, 2)

	refused := func(s Reparser, why string) {
		t.Helper()
		if _, err := s.Reparse(t.Context(), env); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, and not %q", err, why)
		}
	}
	refused(&CSV{Path: Paths{"-"}, Header: true}, "standard input cannot be looked at again")
	refused(&CSV{Path: Paths{"gone.csv"}, Header: true}, "no such file")
	refused(&CSV{Path: Paths{"part"}, Header: true, Partitions: "auto", InferRows: 10}, "its directories give the columns day")
	stop := *csv
	stop.OnError = "stop"
	p, err := stop.Reparse(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Parse("dead letter", [][]byte{[]byte("5,6,c"), []byte("x,6,c")}); err == nil || !strings.Contains(err.Error(), "dead letter:2:1: field 1 (id)") {
		t.Errorf("with on_error: stop: %v", err)
	}
}
