package sinks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/sources"
)

// rowTexts are the types of a frame and its rows as text, sorted: partitions
// come back in the order of their names.
func rowTexts(f frame.Frame) (types string, rows []string) {
	for _, field := range f.Schema().Fields() {
		types += field.Name + " " + frame.TypeName(field) + ", "
	}
	for i := range int(f.NumRows()) {
		var row []byte
		for c := range int(f.NumCols()) {
			row = append(frame.AppendText(row, f.Column(c), i, frame.TextOptions{Null: "<NA>"}), '|')
		}
		rows = append(rows, string(row))
	}
	slices.Sort(rows)
	return types, rows
}

// A column of each type that can divide rows comes back from the directories'
// names with its type and every value.
func TestPartitionsOfEachTypeComeBack(t *testing.T) {
	in := allTypes(t)
	all := names(in.Schema())
	types, rows := rowTexts(in)
	for _, by := range all {
		if _, err := newPartitioner([]string{by}, in.Schema()); err != nil {
			continue
		}
		t.Run(by, func(t *testing.T) {
			env := testEnv(t, "run-1")
			commit(t, &Parquet{Path: "out", Files: Files{PartitionBy: []string{by}}}, env, rowsOf(in))
			out := readBack(t, &sources.Parquet{Path: sources.Paths{"out"}, Columns: all}, env)
			want := types
			if by == "ordered" { // the order of the levels is in no name
				want = strings.Replace(types, "ordered ordered", "ordered factor", 1)
			}
			gotTypes, got := rowTexts(out)
			if d := cmp.Diff(want, gotTypes); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(rows, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Two levels of partitions, with values that are missing, empty or not fit for
// a path, come back from every format.
func TestPartitionsOfEachFormatComeBack(t *testing.T) {
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
		typed("id", arrow.PrimitiveTypes.Float64), typed("a/b", arrow.BinaryTypes.String),
		typed("_n", arrow.PrimitiveTypes.Int64), typed("x", arrow.PrimitiveTypes.Float64),
	}, nil))
	for i, text := range []string{"", "007", "50%", "%41", "a=b/../c", partition.Null, "Zürich\n", "NULL"} {
		for n := range 3 {
			b.Column(0).AppendDouble(float64(i) + float64(n)/10 + 0.05)
			b.Column(1).AppendString(text)
			if n == 0 {
				b.Column(2).AppendNull()
			} else {
				b.Column(2).AppendInt64(int64(n))
			}
			b.Column(3).AppendDouble(0.5)
		}
	}
	b.Column(0).AppendDouble(99.5)
	b.Column(1).AppendNull()
	b.Column(2).AppendInt64(1)
	b.Column(3).AppendDouble(1.5)
	in := must(b.Frame())(t)
	columns := []string{"a/b", "id", "_n", "x"}
	wantTypes, want := rowTexts(must(frame.Select(in, columns))(t))

	f := func(name string, sink Sink, source sources.Source) {
		t.Run(name, func(t *testing.T) {
			env := testEnv(t, "run-1")
			parts := commit(t, sink, env, rowsOf(in))
			if len(parts) != 25 {
				t.Errorf("%d files for 25 partitions", len(parts))
			}
			types, got := rowTexts(readBack(t, source, env))
			if d := cmp.Diff(wantTypes, types); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
	by := Files{PartitionBy: []string{"a/b", "_n"}}
	out := sources.Paths{"out"}
	f("parquet", &Parquet{Path: "out", Files: by}, &sources.Parquet{Path: out, Columns: columns})
	f("csv", &CSV{Path: "out", Header: true, Files: by}, &sources.CSV{Path: out, Columns: columns, Header: true})
	f("ndjson", &NDJSON{Path: "out", Files: by}, &sources.NDJSON{Path: out, Columns: columns})
	f("rds", &RDS{Path: "out", Files: by}, &sources.RDS{Path: out, Columns: columns})
}

// Beside a single file stand its manifest and, while it is replaced, a lock and
// the new file; no directory or glob takes them for input.
func TestSourcesSeeTheSingleFileAlone(t *testing.T) {
	env := testEnv(t, "run-1")
	commit(t, &NDJSON{Path: "out/a.ndjson"}, env, rows(0, 0, 10))
	again := *env
	again.Run = "run-2"
	w := open(t, &NDJSON{Path: "out/a.ndjson", Files: Files{IfExists: "replace"}}, &again)
	if err := w.Write(t.Context(), rows(0, 10, 20)); err != nil {
		t.Fatal(err)
	}
	must(w.Prepare(t.Context(), 0))(t)
	if entries := must(os.ReadDir(filepath.Join(env.Dir, "out")))(t); len(entries) != 4 {
		t.Errorf("%v: where are the manifest, the lock and the new file?", entries)
	}
	for _, path := range []string{"out", "out/*", "out/**", "**", "out/*json"} {
		if n := readBack(t, &sources.NDJSON{Path: sources.Paths{path}}, env).NumRows(); n != 10 {
			t.Errorf("%s: %d rows", path, n)
		}
	}
}
