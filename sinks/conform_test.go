package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// fileSinks are the sinks that make files; make gives one for a path.
var fileSinks = []struct {
	name string
	ext  string
	make func(path string, l Files) Sink
}{
	{"parquet", ".parquet", func(path string, l Files) Sink {
		return &Parquet{Path: path, Files: l}
	}},
	{"csv", ".csv", func(path string, l Files) Sink {
		return &CSV{Path: path, Header: true, Files: l}
	}},
	{"csv gzip", ".csv.gz", func(path string, l Files) Sink {
		return &CSV{Path: path, Compression: "gzip", Files: l}
	}},
	{"ndjson", ".ndjson", func(path string, l Files) Sink {
		return &NDJSON{Path: path, Files: l}
	}},
	{"rds", ".rds", func(path string, l Files) Sink {
		return &RDS{Path: path, Files: l}
	}},
}

// eachSink runs a test for every file sink.
func eachSink(t *testing.T, f func(t *testing.T, ext string, make func(path string, l Files) Sink)) {
	for _, s := range fileSinks {
		t.Run(s.name, func(t *testing.T) { f(t, s.ext, s.make) })
	}
}

func readManifestFile(t testing.TB, path string) manifest {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNothingIsVisibleBeforePublish(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		ctx, env := t.Context(), g.env(t, "run-1")
		w := open(t, g.sink("out", Files{RowsPerFile: 100}), env)
		dir := filepath.Join(env.Dir, "out")
		if err := w.Write(ctx, rows(0, 0, 250)); err != nil {
			t.Fatal(err)
		}
		if v := visible(t, dir); len(v) > 0 {
			t.Errorf("after Write: %v", v)
		}
		parts := must(w.Prepare(ctx, 0))(t)
		if v := visible(t, dir); len(v) > 0 {
			t.Errorf("after Prepare: %v", v)
		}
		if len(parts) != 3 || parts[0].Rows != 100 || parts[2].Rows != 50 {
			t.Fatalf("parts %+v", parts)
		}
		for range 2 { // Publish may be repeated
			if err := w.Publish(ctx, parts); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(ctx, true); err != nil {
			t.Fatal(err)
		}
		m := readManifestFile(t, filepath.Join(dir, "_manifest.json"))
		if m.Run != "run-1" || m.Rows != 250 || len(m.Files) != 3 || m.Schema[0].Name != "id" || m.Schema[0].Type != "int64" {
			t.Errorf("manifest %+v", m)
		}
		var names []string
		for i, p := range parts {
			if !strings.HasSuffix(p.Path, g.ext) || m.Files[i].Path != p.Path {
				t.Errorf("part %s, in the manifest %s", p.Path, m.Files[i].Path)
			}
			if err := same(filepath.Join(dir, p.Path), p); err != nil {
				t.Error(err)
			}
			st, err := os.Stat(filepath.Join(dir, p.Path))
			if err != nil || st.Size() != p.Bytes {
				t.Errorf("%s: %d bytes, said %d (%v)", p.Path, st.Size(), p.Bytes, err)
			}
			names = append(names, p.Path)
		}
		if d := cmp.Diff(append([]string{"_manifest.json"}, names...), tree(t, dir)); d != "" {
			t.Error(d)
		}
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	steps := map[string]func(ctx context.Context, w Writer) error{
		"open":    func(context.Context, Writer) error { return nil },
		"write":   func(ctx context.Context, w Writer) error { return w.Write(ctx, rows(0, 0, 500)) },
		"prepare": func(ctx context.Context, w Writer) error { _, err := w.Prepare(ctx, 0); return err },
	}
	eachGround(t, func(t *testing.T, g *ground) {
		for _, path := range []string{"a/b/out", "a/b/one" + g.ext} {
			for n, names := range [][]string{{"open"}, {"open", "write"}, {"open", "write", "prepare"}} {
				ctx, env := t.Context(), g.env(t, "run-1")
				l := Files{}
				if n == 1 && !strings.HasSuffix(path, g.ext) {
					l.PartitionBy = []string{"part"}
				}
				w := open(t, g.sink(path, l), env)
				for _, name := range names {
					if err := steps[name](ctx, w); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 { // Abort may be repeated
					if err := w.Abort(); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := os.Stat(filepath.Join(env.Dir, "a")); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s after %v: left behind %v (%v)", path, names, tree(t, env.Dir), err)
				}
				if err := w.Write(ctx, rows(0, 0, 1)); !errors.Is(err, errEnded) {
					t.Errorf("Write after Abort: %v", err)
				}
			}
		}
	})
}

// Until Finish, what is published is taken back, with its directories; what was
// there before stays.
func TestAbortTakesBackWhatIsPublished(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		ctx, env := t.Context(), g.env(t, "run-1")
		by := Files{PartitionBy: []string{"part"}, IfExists: existsAppend}
		commit(t, g.sink("out", by), env, rows(0, 0, 1))
		before := tree(t, env.Dir)
		env.Run = "run-2"
		w := open(t, g.sink("out", by), env)
		if err := w.Write(ctx, rows(0, 0, 10)); err != nil {
			t.Fatal(err)
		}
		first := must(w.Prepare(ctx, 0))(t)
		if err := w.Publish(ctx, first); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(ctx, rows(1, 10, 10)); err != nil {
			t.Fatal(err)
		}
		must(w.Prepare(ctx, 1))(t)
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
			t.Error(d)
		}
		if entries := must(os.ReadDir(filepath.Join(env.Dir, "out")))(t); len(entries) != 2 {
			t.Errorf("empty directories stay: %v", entries)
		}
	})
}

// The single file of before is put back.
func TestAbortPutsTheSingleFileBack(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		path := filepath.Join(env.Dir, "one"+g.ext)
		abortPublished := func(kind string) {
			t.Helper()
			_, err := os.Stat(path)
			later := err == nil && g.s3 // what is replaced there cannot be put back, so Finish does it
			w := open(t, g.sink("one"+g.ext, Files{IfExists: kind}), env)
			if err := w.Write(t.Context(), rows(0, 0, 10)); err != nil {
				t.Fatal(err)
			}
			parts := must(w.Prepare(t.Context(), 0))(t)
			for range 2 {
				if err := w.Publish(t.Context(), parts); err != nil {
					t.Fatal(err)
				}
			}
			if err := same(path, parts[0]); (err != nil) != later {
				t.Error(err)
			}
			if err := w.Abort(); err != nil {
				t.Fatal(err)
			}
		}
		abortPublished(existsError)
		abortPublished(existsReplace)
		if left := tree(t, env.Dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		old := commit(t, g.sink("one"+g.ext, Files{}), env, rows(0, 0, 3))
		before := tree(t, env.Dir)
		env.Run = "run-2"
		abortPublished(existsReplace)
		if err := same(path, old[0]); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
			t.Error(d)
		}
		env.Run = "run-3"
		commit(t, g.sink("one"+g.ext, Files{IfExists: existsReplace}), env, rows(0, 0, 4))
		if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
			t.Error(d)
		}
	})
}

func TestThreeEpochsAreOpen(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		ctx, env := t.Context(), g.env(t, "run-1")
		w := open(t, g.sink("out", Files{}), env)
		for _, b := range []*stages.Rows{rows(4, 0, 10), rows(5, 10, 20), rows(stages.FinalEpoch, 40, 3), rows(4, 30, 5)} {
			if err := w.Write(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Write(ctx, rows(6, 0, 1)); err == nil || !strings.Contains(err.Error(), "epoch 6") {
			t.Errorf("a fourth epoch: %v", err)
		}
		e4 := must(w.Prepare(ctx, 4))(t)
		if len(e4) != 1 || e4[0].Rows != 15 || e4[0].Epoch != 4 {
			t.Errorf("epoch 4: %+v", e4)
		}
		if err := w.Write(ctx, rows(6, 0, 1)); err != nil {
			t.Errorf("the next epoch: %v", err)
		}
		e5, e6, e0 := must(w.Prepare(ctx, 5))(t), must(w.Prepare(ctx, 6))(t), must(w.Prepare(ctx, stages.FinalEpoch))(t)
		if len(e0) != 1 || e0[0].Rows != 3 {
			t.Errorf("the final epoch: %+v", e0)
		}
		if len(e5) != 1 || e5[0].Rows != 20 || len(e6) != 1 || e6[0].Rows != 1 {
			t.Errorf("epochs 5 and 6: %+v %+v", e5, e6)
		}
		for _, parts := range [][]Part{e4, e5, e6, e0} {
			if err := w.Publish(ctx, parts); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(ctx, true); err != nil {
			t.Fatal(err)
		}
		if v := visible(t, filepath.Join(env.Dir, "out")); len(v) != 4 {
			t.Errorf("%v", v)
		}
	})
}

func TestZeroRows(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		empty := &stages.Rows{Value: frame.Empty(rows(0, 0, 1).Value.Schema())}
		f := func(name string, l Files, files int, batches ...*stages.Rows) {
			t.Helper()
			env := g.env(t, "run-1")
			parts := commit(t, g.sink("out", l), env, batches...)
			dir := filepath.Join(env.Dir, "out")
			if len(parts) != files || len(visible(t, dir)) != files {
				t.Errorf("%s: %d parts, files %v", name, len(parts), visible(t, dir))
			}
			if m := readManifestFile(t, filepath.Join(dir, "_manifest.json")); len(m.Files) != files || m.Files == nil {
				t.Errorf("%s: manifest %+v", name, m)
			}
		}
		f("nothing was written", Files{}, 0)
		f("the columns are known", Files{}, 1, empty)
		f("empty batches among others", Files{}, 1, empty, rows(0, 0, 3), empty)
		f("in partitions", Files{PartitionBy: []string{"part"}}, 0, empty)
	})
}

func TestOneFile(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		path := "sub/result" + g.ext
		commit(t, g.sink(path, Files{}), env, rows(0, 0, 10))
		if d := cmp.Diff([]string{"sub/result" + g.ext}, visible(t, env.Dir)); d != "" {
			t.Error(d)
		}
		before := must(os.ReadFile(filepath.Join(env.Dir, path)))(t)
		env.Run = "run-2"
		if _, err := g.sink(path, Files{}).Open(t.Context(), env); !errors.Is(err, ErrExists) {
			t.Errorf("a second run: %v", err)
		}
		w := open(t, g.sink(path, Files{IfExists: "replace"}), env)
		if err := w.Write(t.Context(), rows(0, 0, 500)); err != nil {
			t.Fatal(err)
		}
		parts := must(w.Prepare(t.Context(), 0))(t)
		if string(must(os.ReadFile(filepath.Join(env.Dir, path)))(t)) != string(before) {
			t.Error("the old file changed before Publish")
		}
		for range 2 {
			if err := w.Publish(t.Context(), parts); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if err := same(filepath.Join(env.Dir, path), parts[0]); err != nil {
			t.Error(err)
		}
		if err := open(t, g.sink(path, Files{IfExists: "replace"}), env).Abort(); err != nil {
			t.Error(err)
		}
		if err := same(filepath.Join(env.Dir, path), parts[0]); err != nil {
			t.Errorf("after an aborted replace: %v", err)
		}
	})
}
