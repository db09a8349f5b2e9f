package sinks

import (
	"errors"
	"slices"
	"testing"

	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// TestReplayedFilesLeaveTheDeadLetter: with the rows of a run that fail again,
// files of before go and what is kept of them stays, in one step.
func TestReplayedFilesLeaveTheDeadLetter(t *testing.T) {
	dir := t.TempDir()
	d := &DeadLetter{Path: "dead"}
	env := func(run string) *stages.Env { return (&stages.Env{Run: run, Dir: dir, Parallel: 1}).For("dead_letter") }
	if _, err := d.Files(t.Context(), env("")); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("before any run: %v", err)
	}
	run := func(id string, do func(w *DeadLetterWriter)) []DeadFile {
		t.Helper()
		w, err := d.Open(t.Context(), env(id))
		if err != nil {
			t.Fatal(err)
		}
		do(w)
		parts, err := w.Prepare(t.Context(), stages.FinalEpoch)
		if err == nil {
			err = w.Publish(t.Context(), parts)
		}
		if err == nil {
			err = w.Finish(t.Context(), true)
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		files, err := d.Files(t.Context(), env(""))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(files, func(a, b DeadFile) int { return int(a.Rows - b.Rows) })
		return files
	}
	reject := func(stage string, texts ...string) func(w *DeadLetterWriter) {
		return func(w *DeadLetterWriter) {
			for i, text := range texts {
				err := w.Reject(t.Context(), &stages.Rejected{Stage: stage, Raw: []byte(text), First: int64(i), Err: errors.New("bad")})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	run("one", reject("source", "a"))
	files := run("two", reject("other stage", "b", "c"))
	if len(files) != 2 || files[0].Stage() != "source" || files[1].Stage() != "other stage" || !files[0].Raw() || files[1].Run != "two" || files[0].Dir() != "source/raw" {
		t.Fatalf("files: %+v", files)
	}
	replayed := files[1]
	rows := readBack(t, &sources.Parquet{Path: sources.Paths{replayed.File}, Partitions: "off", Manifest: "off"}, env(""))
	files = run("three", func(w *DeadLetterWriter) {
		reject("other stage", "x", "y", "z")(w)
		if err := w.Keep(t.Context(), stages.FinalEpoch, &replayed, rows); err != nil {
			t.Fatal(err)
		}
		w.Retire([]string{replayed.Path})
		if w.Rows() != 3 {
			t.Errorf("%d rows count as rejected", w.Rows())
		}
	})
	if len(files) != 2 || files[0].Run != "one" || files[1].Run != "three" || files[1].Rows != 5 {
		t.Errorf("after a replay: %+v", files)
	}
	files = run("four", func(w *DeadLetterWriter) { w.Retire([]string{files[0].Path, files[1].Path}) })
	if len(files) != 0 {
		t.Errorf("after the last: %+v", files)
	}
}

// TestAppending: a sink that adds, and leaves its own settings alone.
func TestAppending(t *testing.T) {
	f := func(s Sink, want func(Sink) string, kind string) {
		t.Helper()
		before := want(s)
		if got := want(Appending(s)); got != kind || want(s) != before {
			t.Errorf("%T: if_exists is %q, and %q before", s, got, want(s))
		}
	}
	f(&Parquet{Path: "out", Files: Files{IfExists: existsReplace}}, func(s Sink) string { return s.(*Parquet).IfExists }, existsAppend)
	f(&CSV{Path: "out"}, func(s Sink) string { return s.(*CSV).IfExists }, existsAppend)
	f(&CSV{Path: "out.csv", Files: Files{IfExists: existsReplace}}, func(s Sink) string { return s.(*CSV).IfExists }, existsError)
	f(&NDJSON{Path: "out"}, func(s Sink) string { return s.(*NDJSON).IfExists }, existsAppend)
	f(&RDS{Path: "out.rds"}, func(s Sink) string { return s.(*RDS).IfExists }, existsError)
	if s := (&Stdout{}); Appending(s) != s {
		t.Error("stdout is another one")
	}
}
