package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// hooked is a sink that tells of each step of its commit, and fails as it is told.
type hooked struct {
	sinks.Sink
	step func(name string) error
}

type hookedWriter struct {
	sinks.Writer
	step func(name string) error
}

func (h hooked) Open(ctx context.Context, env *stages.Env) (sinks.Writer, error) {
	w, err := h.Sink.Open(ctx, env)
	return hookedWriter{w, h.step}, err
}

func (w hookedWriter) Publish(ctx context.Context, parts []sinks.Part) error {
	return errors.Join(w.Writer.Publish(ctx, parts), w.step("publish"))
}

func (w hookedWriter) Finish(ctx context.Context, complete bool) error {
	if err := w.step("finish"); err != nil {
		return err
	}
	return errors.Join(w.Writer.Finish(ctx, complete), w.step("finished"))
}

func (w hookedWriter) Abort() error { return errors.Join(w.Writer.Abort(), w.step("abort")) }

// TestCommit holds that the output and the dead letter appear together or not at
// all, whatever step fails.
func TestCommit(t *testing.T) {
	run := func(step func(dir, name string) error) (*Report, []string, error) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range map[string]string{
			"in.csv": "x\n1\nbad\n3\n",
			"p.yaml": "version: 1\nsource: {csv: {path: in.csv, types: {x: int32}, on_error: dead_letter}}\n" +
				"sink: {csv: {path: out}}\ndead_letter: {path: dead}\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		f, problems := Load(filepath.Join(dir, "p.yaml"), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		f.Sink.Use = hooked{f.Sink.Use, func(name string) error { return step(dir, name) }}
		r, err := Start(t.Context(), f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := r.Wait()
		return report, filesBelow(t, dir, "out", "dead"), err
	}
	nothing := func(what string, step func(dir, name string) error, want string) {
		t.Helper()
		report, left, err := run(step)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
		if len(left) > 0 || len(report.Files) > 0 || report.Error == "" {
			t.Errorf("%s: left behind %v; report %+v", what, left, report)
		}
	}
	everything := func(what string, step func(dir, name string) error, fails bool) {
		t.Helper()
		report, left, err := run(step)
		if fails != (err != nil) || fails && !errors.Is(err, sinks.ErrCommitted) || fails != (report.Error != "") {
			t.Errorf("%s: %v", what, err)
		}
		manifests := slices.Contains(left, "out/_manifest.json") && slices.Contains(left, "dead/_manifest.json")
		if len(left) != 4 || !manifests || len(report.Files) != 1 || report.DeadLetters != 1 {
			t.Errorf("%s: %v; report %+v", what, left, report)
		}
	}
	at := func(step string, err error) func(dir, name string) error {
		return func(_, name string) error {
			if name == step {
				return err
			}
			return nil
		}
	}
	full := errors.New("disk full")
	everything("no fault", at("", nil), false)
	nothing("the sink cannot publish", at("publish", full), "sink: disk full")
	nothing("the sink cannot finish", at("finish", full), "sink: disk full")
	nothing("the dead letter cannot publish", func(dir, name string) error {
		if name != "publish" {
			return nil
		}
		temps, err := filepath.Glob(filepath.Join(dir, "dead", ".*.tmp-*"))
		if err != nil || len(temps) != 1 {
			t.Errorf("%v, %v", temps, err)
		}
		return os.Remove(temps[0])
	}, "dead_letter: ")
	nothing("the dead letter cannot finish", func(dir, name string) error {
		manifest := filepath.Join(dir, "dead", "_manifest.json")
		switch name {
		case "publish":
			return os.MkdirAll(filepath.Join(manifest, "full"), 0o777) // which no file is renamed over
		case "abort":
			return os.RemoveAll(manifest)
		}
		return nil
	}, "dead_letter: ")
	everything("the old files cannot be deleted", at("finished", sinks.ErrCommitted), true)
	everything("the release fails", at("abort", full), true)
}

func filesBelow(t *testing.T, dir string, names ...string) (found []string) {
	t.Helper()
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				rel, _ := filepath.Rel(dir, path)
				found = append(found, filepath.ToSlash(rel))
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return found
}
