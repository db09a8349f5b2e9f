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

// again runs a second run over the output of a first one.
func again(t *testing.T, env *stages.Env, s Sink, batches ...*stages.Rows) (parts []Part, seen []string) {
	t.Helper()
	env.Run = "run-2"
	parts = commit(t, s, env, batches...)
	return parts, visible(t, filepath.Join(env.Dir, "out"))
}

func paths(parts ...[]Part) (all []string) {
	for _, p := range parts {
		for _, part := range p {
			all = append(all, part.Path)
		}
	}
	return all
}

func TestIfExists(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		begin := func(l Files) (*stages.Env, []Part) {
			env := g.env(t, "run-1")
			return env, commit(t, g.sink("out", l), env, rows(0, 0, 30))
		}

		env, _ := begin(Files{})
		env.Run = "run-2"
		_, err := g.sink("out", Files{}).Open(t.Context(), env)
		if !errors.Is(err, ErrExists) {
			t.Fatalf("error: %v", err)
		}
		for _, word := range []string{"out", "1 files of run run-1", "append", "replace", "replace_partitions"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("the message lacks %q: %v", word, err)
			}
		}

		env, first := begin(Files{})
		second, seen := again(t, env, g.sink("out", Files{IfExists: "append"}), rows(0, 0, 30))
		if d := cmp.Diff(paths(first, second), seen); d != "" {
			t.Errorf("append: %s", d)
		}
		m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json"))
		if m.Rows != 60 || m.Files[0].Run != "run-1" || m.Files[1].Run != "run-2" {
			t.Errorf("append: manifest %+v", m)
		}

		env, _ = begin(Files{})
		second, seen = again(t, env, g.sink("out", Files{IfExists: "replace"}), rows(0, 0, 10))
		if d := cmp.Diff(paths(second), seen); d != "" {
			t.Errorf("replace: %s", d)
		}
		if m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json")); m.Rows != 10 || len(m.Replaces) > 0 {
			t.Errorf("replace: manifest %+v", m)
		}

		by := []string{"part"}
		env, first = begin(Files{PartitionBy: by})
		one := rows(0, 0, 1) // of partition x alone
		second, seen = again(t, env, g.sink("out", Files{IfExists: "replace_partitions", PartitionBy: by}), one)
		if d := cmp.Diff([]string{second[0].Path, first[1].Path, first[2].Path}, seen); d != "" {
			t.Errorf("replace_partitions: %s", d)
		}
		if m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json")); m.Rows != 21 {
			t.Errorf("replace_partitions: manifest %+v", m)
		}

		// a partition that is gone leaves no directory
		env, _ = begin(Files{PartitionBy: by})
		again(t, env, g.sink("out", Files{IfExists: "replace", PartitionBy: by}), one)
		if _, err := os.Stat(filepath.Join(env.Dir, "out", "part=é")); err == nil {
			t.Error("replace left an empty directory")
		}
	})
}

func TestReplaceRefusesFilesOfOthers(t *testing.T) {
	env := testEnv(t, "run-1")
	commit(t, &CSV{Path: "out"}, env, rows(0, 0, 3))
	other := filepath.Join(env.Dir, "out", "precious.csv")
	if err := os.WriteFile(other, []byte("a\n1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := (&CSV{Path: "out", Files: Files{IfExists: "replace"}}).Open(t.Context(), env)
	if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "precious.csv") {
		t.Errorf("replace: %v", err)
	}
	env.Run = "run-2"
	commit(t, &CSV{Path: "out", Files: Files{IfExists: "append"}}, env, rows(0, 0, 3))
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	// text beside the data is nobody's output
	env2 := testEnv(t, "run-1")
	if err := os.WriteFile(filepath.Join(env2.Dir, "README.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	commit(t, &CSV{Path: "."}, env2, rows(0, 0, 3))
}

func TestAppendRefusesOtherColumns(t *testing.T) {
	env := testEnv(t, "run-1")
	commit(t, &Parquet{Path: "out"}, env, rows(0, 0, 3))
	env.Run = "run-2"
	w := open(t, &Parquet{Path: "out", Files: Files{IfExists: "append"}}, env)
	err := w.Write(t.Context(), &stages.Rows{Value: allTypes(t), Rows: 5})
	if err == nil || !strings.Contains(err.Error(), `column "zz_bool" is new`) {
		t.Error(err)
	}
}

func TestAppendRefusesAnotherFormat(t *testing.T) {
	by := []string{"part"}
	env := testEnv(t, "run-1")
	commit(t, &Parquet{Path: "out", Files: Files{PartitionBy: by}}, env, rows(0, 0, 3))
	env.Run = "run-2"
	before := tree(t, env.Dir)
	for _, kind := range []string{existsAppend, existsReplacePartitions} {
		w, err := (&CSV{Path: "out", Files: Files{IfExists: kind, PartitionBy: by}}).Open(t.Context(), env)
		if err == nil {
			w.Abort()
		}
		if err == nil || !strings.Contains(err.Error(), "3 files of format parquet, and this sink writes csv") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
		t.Error(d)
	}
	parts, seen := again(t, env, &CSV{Path: "out", Files: Files{IfExists: existsReplace}}, rows(0, 0, 3))
	if d := cmp.Diff(paths(parts), seen); d != "" {
		t.Errorf("replace: %s", d)
	}
}

// A run that died between the commit of the new files and the removal of the
// old ones left a manifest that names both.
func TestReplaceIsFinishedByTheNextRun(t *testing.T) {
	env := testEnv(t, "run-1")
	first := commit(t, &Parquet{Path: "out"}, env, rows(0, 0, 30))
	dir := filepath.Join(env.Dir, "out")
	old := must(os.ReadFile(filepath.Join(dir, first[0].Path)))(t)

	second, _ := again(t, env, &Parquet{Path: "out", Files: Files{IfExists: "replace"}}, rows(0, 0, 10))
	// as it was before the removal
	if err := os.WriteFile(filepath.Join(dir, first[0].Path), old, 0o644); err != nil {
		t.Fatal(err)
	}
	o := &output{place: &directory{dir: dir, run: "run-2", create: createFile}}
	m := readManifestFile(t, filepath.Join(dir, "_manifest.json"))
	m.Replaces = []string{first[0].Path}
	if _, err := o.writeManifest(t.Context(), &m); err != nil {
		t.Fatal(err)
	}

	env.Run = "run-3"
	third := commit(t, &Parquet{Path: "out", Files: Files{IfExists: "append"}}, env, rows(0, 0, 5))
	if d := cmp.Diff(paths(second, third), visible(t, dir)); d != "" {
		t.Error(d)
	}
}

// A restart of the same run takes the parts from its journal.
func TestPublishAfterARestart(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		for published := range 3 {
			t.Run(fmt.Sprint(published, " were published"), func(t *testing.T) {
				env := g.env(t, "run-1")
				dead := open(t, g.sink("out", Files{RowsPerFile: 5}), env)
				if err := dead.Write(t.Context(), rows(0, 0, 10)); err != nil {
					t.Fatal(err)
				}
				journal := must(dead.Prepare(t.Context(), 0))(t)
				if err := dead.Publish(t.Context(), journal[:published]); err != nil {
					t.Fatal(err)
				}
				if err := dead.Write(t.Context(), rows(1, 0, 10)); err != nil { // not in the journal
					t.Fatal(err)
				}
				must(dead.Prepare(t.Context(), 1))(t)
				die(t, dead)
				env = restarted(t, env)

				w := open(t, g.sink("out", Files{RowsPerFile: 5}), env)
				if err := w.Publish(t.Context(), journal); err != nil {
					t.Fatal(err)
				}
				if err := w.Finish(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				want := append([]string{"_manifest.json"}, paths(journal)...)
				if d := cmp.Diff(want, tree(t, filepath.Join(env.Dir, "out"))); d != "" {
					t.Error(d)
				}
			})
		}
	})
}

func TestPublishRefusesAnotherContent(t *testing.T) {
	env := testEnv(t, "run-1")
	w := open(t, &Parquet{Path: "out"}, env)
	if err := w.Write(t.Context(), rows(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	parts := must(w.Prepare(t.Context(), 0))(t)
	path := filepath.Join(env.Dir, "out", parts[0].Path)
	if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Publish(t.Context(), parts); err == nil || !strings.Contains(err.Error(), "another content") {
		t.Error(err)
	}
	if string(must(os.ReadFile(path))(t)) != "other" {
		t.Error("it was replaced")
	}
	outside := []Part{{Path: "../x", Temp: parts[0].Temp}}
	if err := w.Publish(t.Context(), outside); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Error(err)
	}
}

func TestTwoRunsAtOnce(t *testing.T) {
	env := testEnv(t, "run-1")
	w := open(t, &Parquet{Path: "out"}, env)
	env2 := *env
	env2.Run = "run-2"
	_, err := (&CSV{Path: "out"}).Open(t.Context(), &env2)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("run run-1, pid %d", os.Getpid())) {
		t.Errorf("%v", err)
	}
	// single files in one directory do not meet
	a, b := open(t, &Parquet{Path: "two/a.parquet"}, env), open(t, &Parquet{Path: "two/b.parquet"}, env)
	for _, x := range []Writer{w, a, b} {
		if err := x.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	open(t, &CSV{Path: "out"}, &env2)
}
