package sinks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/stages"
)

// deadRow are the columns about the failure, and one of the row's own.
type deadRow struct {
	Run       string  `parquet:"_rpipe_run,optional"`
	Pipeline  string  `parquet:"_rpipe_pipeline,optional"`
	Stage     string  `parquet:"_rpipe_stage,optional"`
	Batch     *int64  `parquet:"_rpipe_batch,optional"`
	Row       *int64  `parquet:"_rpipe_row,optional"`
	Error     string  `parquet:"_rpipe_error,optional"`
	Traceback *string `parquet:"_rpipe_traceback,optional"`
	Attempt   int32   `parquet:"_rpipe_attempt,optional"`
	Whole     bool    `parquet:"_rpipe_whole,optional"`
	Raw       []byte  `parquet:"_rpipe_raw,optional"`
	ID        *int64  `parquet:"id,optional"`
}

func readDead(t *testing.T, path string) []deadRow {
	t.Helper()
	r := parquet.NewGenericReader[deadRow](openParquet(t, path), parquet.SchemaOf(deadRow{}))
	defer r.Close()
	got := make([]deadRow, r.NumRows())
	if _, err := r.Read(got); err != nil && len(got) > 0 && err.Error() != "EOF" {
		t.Fatal(err)
	}
	return got
}

func TestDeadLetter(t *testing.T) {
	ctx, env := t.Context(), testEnv(t, "run-1")
	w, err := (&DeadLetter{Path: "dead.parquet"}).Open(ctx, env) // a directory whatever its name
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	batch := rows(0, 40, 2)
	batch.Seq = 7
	for _, r := range []*stages.Rejected{
		{Stage: "score", Frame: batch.Value, First: 40, Err: errors.New("R error in f(x): no"), Traceback: []string{"f(x)", "stop(\"no\")"}, Attempt: 2, Whole: true, Batch: batch},
		{Stage: "score", Frame: allTypes(t), First: -1, Err: errors.New("bad \xff byte"), Attempt: 1, Batch: batch},
		{Stage: "", Raw: []byte("a,b\xff,c"), First: 11, Err: errors.New("line 12: 3 fields, 4 expected"), Attempt: 1},
	} {
		if err := w.Reject(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if w.Rows() != 8 {
		t.Errorf("%d rows", w.Rows())
	}
	parts := must(w.Prepare(ctx, 0))(t)
	if err := w.Publish(ctx, parts); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(ctx, true); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var score, odd, raw string
	for _, p := range parts {
		switch {
		case p.Rows == 2:
			score = p.Path
		case strings.HasPrefix(p.Path, "source/raw/"):
			raw = p.Path
		default:
			odd = p.Path
		}
	}
	if len(parts) != 3 || !strings.HasPrefix(score, "score/") || filepath.Dir(score) == filepath.Dir(odd) {
		t.Fatalf("parts %+v", parts)
	}
	dir := filepath.Join(env.Dir, "dead.parquet")
	p := func(v int64) *int64 { return &v }
	trace := "f(x)\nstop(\"no\")"
	want := []deadRow{
		{Run: "run-1", Pipeline: "test", Stage: "score", Batch: p(7), Row: p(41), Error: "R error in f(x): no", Traceback: &trace, Attempt: 2, Whole: true, ID: p(40)},
		{Run: "run-1", Pipeline: "test", Stage: "score", Batch: p(7), Row: p(42), Error: "R error in f(x): no", Traceback: &trace, Attempt: 2, Whole: true, ID: p(41)},
	}
	if d := cmp.Diff(want, readDead(t, filepath.Join(dir, score))); d != "" {
		t.Error(d)
	}
	want = []deadRow{{Run: "run-1", Pipeline: "test", Row: p(12), Error: "line 12: 3 fields, 4 expected", Attempt: 1, Raw: []byte("a,b\xff,c")}}
	if d := cmp.Diff(want, readDead(t, filepath.Join(dir, raw))); d != "" {
		t.Error(d)
	}
	if got := readDead(t, filepath.Join(dir, odd)); len(got) != 5 || got[0].Row != nil || got[0].Error != "bad \ufffd byte" {
		t.Errorf("%+v", got)
	}

	// The next run adds to it, and what fails again in a replay has its columns once.
	env.Run = "run-2"
	w2, err := (&DeadLetter{Path: "dead.parquet"}).Open(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	defer w2.Abort()
	f, own, err := w2.frame(&stages.Rejected{Stage: "score", Frame: batch.Value, Err: errors.New("again")})
	if err != nil {
		t.Fatal(err)
	}
	again, own2, err := w2.frame(&stages.Rejected{Stage: "score", Frame: f, Err: errors.New("again")})
	if err != nil || fingerprint(own) != fingerprint(own2) || again.NumCols() != f.NumCols() {
		t.Errorf("%v: %v", err, again.Schema())
	}
	if err := w2.Reject(ctx, &stages.Rejected{Stage: "score", Frame: again, Err: errors.New("again"), Batch: rows(3, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	parts2 := must(w2.Prepare(ctx, 3))(t)
	if err := w2.Publish(ctx, parts2); err != nil {
		t.Fatal(err)
	}
	if err := w2.Finish(ctx, true); err != nil {
		t.Fatal(err)
	}
	if len(parts2) != 1 || filepath.Dir(parts2[0].Path) != filepath.Dir(score) {
		t.Errorf("%+v", parts2)
	}
	if m := readManifestFile(t, filepath.Join(dir, "_manifest.json")); len(m.Files) != 4 || m.Rows != 10 {
		t.Errorf("manifest %+v", m)
	}
}

func TestDeadLetterOfAGoodRun(t *testing.T) {
	env := testEnv(t, "run-1")
	w, err := (&DeadLetter{Path: "dead"}).Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if parts := must(w.Prepare(t.Context(), 0))(t); len(parts) > 0 {
		t.Errorf("%+v", parts)
	}
	if err := w.Finish(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(env.Dir, "dead")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a trace of it: %v, %v", err, tree(t, env.Dir))
	}
}

// Abort takes back a Finish, to the files and manifest of before.
func TestDeadLetterIsTakenBack(t *testing.T) {
	env := testEnv(t, "run-1")
	reject := func() *DeadLetterWriter {
		t.Helper()
		w, err := (&DeadLetter{Path: "dead"}).Open(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Abort() })
		if err := w.Reject(t.Context(), &stages.Rejected{Stage: "score", Frame: rows(0, 0, 3).Value, Err: errors.New("no")}); err != nil {
			t.Fatal(err)
		}
		if err := w.Publish(t.Context(), must(w.Prepare(t.Context(), 0))(t)); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		return w
	}
	if err := reject().Abort(); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, env.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := reject().Close(); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(env.Dir, "dead", "_manifest.json")
	before, text := tree(t, env.Dir), string(must(os.ReadFile(manifest))(t))
	env.Run = "run-2"
	if err := reject().Abort(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, tree(t, env.Dir)) + cmp.Diff(text, string(must(os.ReadFile(manifest))(t))); d != "" {
		t.Error(d)
	}

	// What a run that died has published there goes too.
	env.Run = "run-3"
	w, err := (&DeadLetter{Path: "dead"}).Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Reject(t.Context(), &stages.Rejected{Stage: "fit", Frame: rows(0, 0, 3).Value, Err: errors.New("no")}); err != nil {
		t.Fatal(err)
	}
	if err := w.Publish(t.Context(), must(w.Prepare(t.Context(), 0))(t)); err != nil {
		t.Fatal(err)
	}
	die(t, w.files)
	env.Run = "run-4"
	w, err = (&DeadLetter{Path: "dead"}).Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
		t.Error(d)
	}
}
