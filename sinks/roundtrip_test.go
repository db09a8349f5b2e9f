package sinks

import (
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// readBack reads everything that a source gives.
func readBack(t *testing.T, s sources.Source, env *stages.Env) frame.Frame {
	t.Helper()
	r := must(s.Open(t.Context(), env, ""))(t)
	defer r.Close()
	var frames []frame.Frame
	for {
		read, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, read.Frame)
	}
	if len(frames) == 0 {
		return frame.Empty(r.Schema())
	}
	return must(frame.Concat(frames...))(t)
}

// described is a frame as text: types with their metadata, values, levels.
func described(f frame.Frame) (lines []string) {
	for c, field := range f.Schema().Fields() {
		line := field.Name + " " + frame.TypeName(field)
		for _, key := range []string{frame.MetaR, frame.MetaUnits, frame.MetaTimezone, frame.MetaJSON} {
			v, _ := field.Metadata.GetValue(key)
			line += " " + v
		}
		for i := range int(f.NumRows()) {
			line += " " + string(frame.AppendText(nil, f.Column(c), i, frame.TextOptions{Null: "<NA>"}))
		}
		if d, ok := f.Column(c).(*array.Dictionary); ok {
			line += " levels"
			for i := range d.Dictionary().Len() {
				line += " " + d.Dictionary().ValueStr(i)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestParquetComesBack(t *testing.T) {
	env := testEnv(t, "run-1")
	in := allTypes(t)
	commit(t, &Parquet{Path: "x.parquet"}, env, rowsOf(in))
	out := readBack(t, &sources.Parquet{Path: sources.Paths{"x.parquet"}}, env)
	if d := cmp.Diff(described(in), described(out)); d != "" {
		t.Error(d)
	}
}

// What is written is what our own sources read as output: neither the manifest
// nor the files of a run that is under way.
func TestSourcesSeeCompleteFilesAlone(t *testing.T) {
	env := testEnv(t, "run-1")
	commit(t, &Parquet{Path: "out"}, env, rows(0, 0, 100))
	env2 := *env
	env2.Run = "run-2"
	w := open(t, &Parquet{Path: "out", Files: Files{IfExists: "append"}}, &env2)
	if err := w.Write(t.Context(), rows(0, 100, 100)); err != nil {
		t.Fatal(err)
	}
	must(w.Prepare(t.Context(), 0))(t)
	for _, path := range []string{"out", "out/*.parquet", "out/*"} {
		if n := readBack(t, &sources.Parquet{Path: sources.Paths{path}}, env).NumRows(); n != 100 {
			t.Errorf("%s: %d rows", path, n)
		}
	}
}
