package sinks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/stages"
)

// published makes the output of a run that published and did not finish. What it
// leaves if it dies is there when die has been called.
func published(t *testing.T, sink Sink, env *stages.Env) []Part {
	t.Helper()
	w := open(t, sink, env)
	if err := w.Write(t.Context(), rows(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	parts := must(w.Prepare(t.Context(), 0))(t)
	if err := w.Publish(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), rows(1, 0, 1)); err != nil {
		t.Fatal(err)
	}
	must(w.Prepare(t.Context(), 1))(t)
	die(t, w)
	return parts
}

// A run that died after Publish and before Finish left files that no manifest
// names, and a lock that says whose they are: they are not committed.
func TestFilesOfARunThatDied(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		by := []string{"part"}
		for _, kind := range []string{existsError, existsAppend, existsReplace, existsReplacePartitions} {
			env := g.env(t, "run-1")
			dir := filepath.Join(env.Dir, "out")
			var first []Part
			if kind != existsError {
				first = commit(t, g.sink("out", Files{PartitionBy: by}), env, rows(0, 3, 1))
			}
			env.Run = "run-2"
			dead := published(t, g.sink("out", Files{PartitionBy: by, IfExists: existsAppend}), env)
			if n := len(visible(t, dir)); n != len(first)+len(dead) {
				t.Fatalf("%d files", n)
			}
			env.Run = "run-3"
			third := commit(t, g.sink("out", Files{PartitionBy: by, IfExists: kind}), env, rows(0, 0, 1))
			want := paths(third)
			if kind == existsAppend {
				want = paths(first, third)
			}
			if d := cmp.Diff(want, visible(t, dir)); d != "" {
				t.Errorf("%s: %s", kind, d)
			}
			if m := readManifestFile(t, filepath.Join(dir, "_manifest.json")); len(m.Files) != len(want) {
				t.Errorf("%s: manifest %+v", kind, m)
			}
			if entries := must(os.ReadDir(dir))(t); len(entries) != 2 {
				t.Errorf("%s: temporary files or empty directories are left: %v", kind, entries)
			}
		}
	})
}

// Where nothing shows that a run died, files without a manifest may be all that
// is left of a complete output.
func TestFilesThatNoManifestNames(t *testing.T) {
	by := []string{"part"}
	env := testEnv(t, "run-1")
	parts := commit(t, &Parquet{Path: "out", Files: Files{PartitionBy: by}}, env, rows(0, 0, 10))
	dir := filepath.Join(env.Dir, "out")
	if err := os.Remove(filepath.Join(dir, "_manifest.json")); err != nil {
		t.Fatal(err)
	}
	env.Run = "run-2"
	for kind, want := range map[string]string{
		existsError:             "a run that did not finish, such as " + parts[0].Path,
		existsAppend:            parts[0].Path + " is of run run-1 by its name",
		existsReplacePartitions: parts[0].Path + " is of run run-1 by its name",
	} {
		_, err := (&Parquet{Path: "out", Files: Files{PartitionBy: by, IfExists: kind}}).Open(t.Context(), env)
		if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", kind, err)
		}
		if d := cmp.Diff(paths(parts), tree(t, dir)); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
	second := commit(t, &Parquet{Path: "out", Files: Files{IfExists: existsReplace}}, env, rows(0, 0, 10))
	if d := cmp.Diff(paths(second), visible(t, dir)); d != "" {
		t.Error(d)
	}
}

// A run that read a part of its input, by --limit or because it was stopped,
// replaces nothing but the output of such runs.
func TestPartialOutput(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		for _, path := range []string{"out", "out" + g.ext} {
			for _, kind := range []string{existsReplace, existsReplacePartitions} {
				l := Files{IfExists: kind}
				if kind == existsReplacePartitions {
					if path != "out" {
						continue
					}
					l.PartitionBy = []string{"part"}
				}
				env := g.env(t, "run-1")
				s := g.sink(path, l)
				limited := *env
				limited.Limited = true
				partial := func(want bool) {
					t.Helper()
					w := open(t, s, env)
					if got := !w.(Replacer).ReplacesComplete(); got != want {
						t.Errorf("%s, %s: partial is %v", path, kind, got)
					}
					w.Abort()
				}
				finish := func(complete bool) error {
					t.Helper()
					w := open(t, s, env)
					defer w.Abort()
					if err := w.Write(t.Context(), rows(0, 0, 9)); err != nil {
						t.Fatal(err)
					}
					parts := must(w.Prepare(t.Context(), 0))(t)
					if err := w.Publish(t.Context(), parts); err != nil {
						t.Fatal(err)
					}
					return w.Finish(t.Context(), complete)
				}
				for i, complete := range []bool{false, false, true} { // nothing is there, then a part of it
					env.Run = fmt.Sprint("run-", i)
					if err := finish(complete); err != nil {
						t.Fatal(err)
					}
					partial(!complete)
				}
				before := tree(t, env.Dir)
				if _, err := s.Open(t.Context(), &limited); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "-v out=") {
					t.Errorf("%s, %s with --limit: %v", path, kind, err)
				}
				env.Run = "run-9"
				if err := finish(false); err == nil {
					t.Errorf("%s, %s: a part has replaced complete output", path, kind)
				}
				if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
					t.Error(d)
				}
			}
		}
	})
}

// Files of complete runs stay complete beside those of others.
func TestPartialBesideComplete(t *testing.T) {
	env := testEnv(t, "run-1")
	commit(t, &Parquet{Path: "out"}, env, rows(0, 0, 9))
	env.Run, env.Limited = "run-2", true
	w := open(t, &Parquet{Path: "out", Files: Files{IfExists: existsAppend}}, env)
	if err := w.Write(t.Context(), rows(0, 0, 9)); err != nil {
		t.Fatal(err)
	}
	if err := w.Publish(t.Context(), must(w.Prepare(t.Context(), 0))(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json"))
	if !m.Partial || m.Files[0].Partial || !m.Files[1].Partial {
		t.Errorf("%+v", m)
	}
	if _, err := (&Parquet{Path: "out", Files: Files{IfExists: existsReplace}}).Open(t.Context(), env); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
}
