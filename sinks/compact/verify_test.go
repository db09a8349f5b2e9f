package compact

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
)

// What was written is read back before it counts: a file that the disk has
// spoiled, or that lacks its end, is found out, and nothing is published.
func TestSpoiledFiles(t *testing.T) {
	f := func(publish string, spoil func(path string) error, want string) {
		t.Helper()
		env := testEnv(t, "run-1")
		small(t, env, sinks.Parquet{Path: "out"}, 4, 30)
		before, files := read(t, env, "out"), tree(t, env.Dir)
		t.Cleanup(func() { passed = func(string) {} })
		passed = func(place string) {
			if place != "compact-written" {
				return
			}
			temps, err := filepath.Glob(filepath.Join(env.Dir, map[string]string{Beside: "out", Exchange: ".out.compact-*"}[publish], ".*.tmp-*"))
			if err != nil || len(temps) != 1 {
				t.Fatal(temps, err)
			}
			if err := spoil(temps[0]); err != nil {
				t.Fatal(err)
			}
		}
		o := options(env, "out")
		o.Publish = publish
		if publish == Exchange && !canSwap(t.TempDir(), "x") {
			return
		}
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", publish, err, want)
		}
		if d := cmp.Diff(files, tree(t, env.Dir)); d != "" {
			t.Error(d)
		}
		if d := frame.Diff(before, read(t, env, "out")); d != "" {
			t.Error(d)
		}
	}
	for _, publish := range []string{Exchange, Beside} {
		f(publish, func(path string) error { return os.Truncate(path, 1000) }, "it has 1000 bytes")
		f(publish, func(path string) error { return os.Remove(path) }, "read back compact-1-")
		f(publish, func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := range b[len(b)-200:] {
				b[len(b)-200+i] = 0xff
			}
			return os.WriteFile(path, b, 0o644)
		}, "damaged")
	}
}

// Missing values that do not agree are found out, locally and on S3, where the
// new files are visible by then and are removed again.
func TestMissingValuesDoNotAgree(t *testing.T) {
	f := func(o Options) {
		t.Helper()
		before := read(t, o.Env, o.Path)
		j, err := newJob(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		w, err := j.sink(o.Path, "replace").Open(ctx, j.env)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.look(ctx); err != nil {
			t.Fatal(err)
		}
		j.plan()
		parts, err := j.write(ctx, w)
		if err != nil {
			t.Fatal(err)
		}
		j.nulls["s"]++
		if err := j.publish(ctx, w, parts); err == nil || !strings.Contains(err.Error(), `column "s" had`) {
			t.Error(err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if d := frame.Diff(before, read(t, o.Env, o.Path)); d != "" {
			t.Error(d)
		}
		found, _, err := j.place.list(ctx)
		if err != nil || len(found) != len(j.inputs) {
			t.Errorf("%v %v", found, err)
		}
	}
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 3, 30)
	o := options(env, "out")
	o.Publish = Beside
	f(o)
	env, bucket, _ := s3Env(t)
	small(t, env, sinks.Parquet{Path: bucket + "/out"}, 3, 30)
	o = options(env, bucket+"/out")
	o.Publish = Beside
	f(o)
}
