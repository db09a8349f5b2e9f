package sinks

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/stages"
)

// A run goes on in another process after one that died or was suspended at any
// step: what was prepared and is in the journal stays, everything else of the run
// goes, and in the end each row is there once.
func TestResumeAtEveryStep(t *testing.T) {
	steps := []string{"open", "write", "prepare", "journal", "publish", "announce", "finish"}
	eachPlace(t, func(t *testing.T, g *ground) {
		for _, end := range []string{"crash", "suspend"} {
			for last := range steps {
				t.Run(end+" after "+steps[last], func(t *testing.T) {
					env := g.env(t, "run-1")
					l := Files{IfExists: existsAppend, PartitionBy: []string{"part"}}
					commit(t, g.sink("out", l), env, rows(0, 900, 9))
					env.Run = "run-2"
					w := open(t, g.sink("out", l), env)
					var journal []Part
					var state json.RawMessage
					for _, step := range steps[1 : last+1] {
						switch step {
						case "write":
							write(t, w, rows(1, 0, 10), rows(2, 100, 10))
						case "prepare":
							must(w.Prepare(t.Context(), 1))(t)
						case "journal":
							write(t, w, rows(3, 300, 10))
							journal = must(w.Prepare(t.Context(), 2))(t)
							state = must(w.(Resumer).State())(t)
						case "publish":
							check(t, w.Publish(t.Context(), journal[:1]))
						case "announce":
							check(t, w.(Resumer).Announce(t.Context()))
						case "finish":
							check(t, w.Publish(t.Context(), journal))
							check(t, w.(*fileWriter).commit(t.Context(), false))
						}
					}
					if end == "crash" {
						die(t, w)
					} else {
						check(t, w.(Resumer).Suspend())
					}

					env = restarted(t, env)
					env.Resume = true
					w = open(t, g.sink("out", l), env)
					check(t, w.(Resumer).Resume(t.Context(), journal, state))
					if journal != nil {
						if w.(*fileWriter).schema == nil || !w.(*fileWriter).schema.Equal(rows(0, 0, 1).Value.Schema()) {
							t.Errorf("columns %v", w.(*fileWriter).schema)
						}
					}
					write(t, w, rows(4, 500, 10))
					parts := append(slices.Clone(journal), must(w.Prepare(t.Context(), 4))(t)...)
					check(t, w.Publish(t.Context(), parts))
					check(t, w.Finish(t.Context(), true))

					dir := filepath.Join(env.Dir, "out")
					m := readManifestFile(t, filepath.Join(dir, "_manifest.json"))
					var names []string
					for _, f := range m.Files {
						names = append(names, f.Path)
						if f.Partial || f.Temp != "" {
							t.Errorf("%+v", f)
						}
					}
					slices.Sort(names)
					if d := cmp.Diff(names, visible(t, dir)); d != "" {
						t.Errorf("manifest and directory: %s", d)
					}
					want := int64(9 + 10)
					if journal != nil {
						want += 10
					}
					if m.Rows != want || m.Partial {
						t.Errorf("%d rows, %d wanted; manifest %+v", m.Rows, want, m)
					}
					if left := leftovers(t, dir); len(left) > 0 || uploads(t, env) > 0 {
						t.Errorf("left behind: %v, %d uploads", left, uploads(t, env))
					}
				})
			}
		}
	})
}

func write(t testing.TB, w Writer, batches ...*stages.Rows) {
	t.Helper()
	for _, b := range batches {
		check(t, w.Write(t.Context(), b))
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The one file of a run is there once, whenever the process died; what was there
// before stays until the new one takes its place.
func TestResumeOfASingleFile(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		for _, kind := range []string{existsError, existsReplace} {
			for last, step := range []string{"write", "prepare", "publish", "finish"} {
				t.Run(kind+" after "+step, func(t *testing.T) {
					env := g.env(t, "run-1")
					s := g.sink("one"+g.ext, Files{IfExists: kind})
					if kind == existsReplace {
						commit(t, s, env, rows(0, 0, 10)) // as many bytes as the new one
					}
					env.Run = "run-2"
					w := open(t, s, env)
					write(t, w, rows(0, 0, 10))
					var journal []Part
					var state json.RawMessage
					if last >= 1 {
						journal = must(w.Prepare(t.Context(), 0))(t)
						state = must(w.(Resumer).State())(t)
					}
					if last >= 2 {
						check(t, w.Publish(t.Context(), journal))
					}
					if last >= 3 {
						check(t, w.(*fileWriter).commit(t.Context(), true))
					}
					die(t, w)

					env = restarted(t, env)
					env.Resume = true
					w = open(t, s, env)
					check(t, w.(Resumer).Resume(t.Context(), journal, state))
					if last == 0 {
						write(t, w, rows(0, 0, 10))
						journal = must(w.Prepare(t.Context(), 0))(t)
					} else if err := w.Write(t.Context(), rows(1, 0, 1)); err == nil || !strings.Contains(err.Error(), "second epoch") {
						t.Errorf("a second epoch: %v", err)
					}
					check(t, w.Publish(t.Context(), journal))
					check(t, w.Finish(t.Context(), true))
					if err := same(filepath.Join(env.Dir, "one"+g.ext), journal[0]); err != nil {
						t.Error(err)
					}
					want := []string{".one" + g.ext + ".manifest.json", "one" + g.ext}
					if d := cmp.Diff(want, tree(t, env.Dir)); d != "" || uploads(t, env) > 0 {
						t.Errorf("%s%d uploads", d, uploads(t, env))
					}
					if m := readManifestFile(t, filepath.Join(env.Dir, want[0])); m.Run != "run-2" || len(m.Files) != 1 {
						t.Errorf("manifest %+v", m)
					}
				})
			}
		}
	})
}

// A single file that somebody else made meanwhile is not taken for the run's own.
func TestResumeRefusesTheFileOfAnother(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		s := g.sink("one"+g.ext, Files{})
		w := open(t, s, env)
		write(t, w, rows(0, 0, 10))
		die(t, w)
		commitOther := g.sink("one"+g.ext, Files{})
		env2 := restarted(t, env)
		env2.Run = "run-2"
		commit(t, commitOther, env2, rows(0, 0, 3))
		env = restarted(t, env)
		env.Resume = true
		w = open(t, s, env)
		if err := w.(Resumer).Resume(t.Context(), nil, nil); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	})
}

// What another run has cleared away cannot be gone on with, and Resume says so.
func TestResumeAfterAnotherRun(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		s := g.sink("out", Files{IfExists: existsReplace})
		w := open(t, s, env)
		write(t, w, rows(1, 0, 10))
		journal := must(w.Prepare(t.Context(), 1))(t)
		check(t, w.(Resumer).Suspend())
		env2 := restarted(t, env)
		env2.Run = "run-2"
		parts := commit(t, s, env2, rows(0, 0, 3))
		env = restarted(t, env)
		env.Resume = true
		w = open(t, s, env)
		if err := w.(Resumer).Resume(t.Context(), journal, nil); err == nil || !strings.Contains(err.Error(), "another run") || !strings.Contains(err.Error(), "--fresh") {
			t.Error(err)
		}
		check(t, w.Abort())
		if d := cmp.Diff(paths(parts), visible(t, filepath.Join(env.Dir, "out"))); d != "" {
			t.Error(d)
		}
	})
}

// A run that is refused leaves what a dead run can go on with.
func TestRefusedRunSparesADeadOne(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		s := g.sink("out", Files{})
		w := open(t, s, env)
		write(t, w, rows(1, 0, 10))
		journal := must(w.Prepare(t.Context(), 1))(t)
		check(t, w.Publish(t.Context(), journal))
		check(t, w.(Resumer).Announce(t.Context()))
		write(t, w, rows(2, 100, 10))
		journal = append(journal, must(w.Prepare(t.Context(), 2))(t)...)
		die(t, w)
		for range 2 {
			env2 := restarted(t, env)
			env2.Run = "run-2"
			if _, err := s.Open(t.Context(), env2); !errors.Is(err, ErrExists) {
				t.Fatal(err)
			}
		}
		env = restarted(t, env)
		env.Resume = true
		w = open(t, s, env)
		check(t, w.(Resumer).Resume(t.Context(), journal, nil))
		check(t, w.Publish(t.Context(), journal))
		check(t, w.Finish(t.Context(), true))
		if m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json")); m.Rows != 20 || m.Partial {
			t.Errorf("%+v", m)
		}
	})
}

// Abort of a run that goes on takes back what its earlier processes published
// and announced.
func TestAbortAfterResume(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		for _, first := range []bool{true, false} {
			env := g.env(t, "run-1")
			s := g.sink("out", Files{IfExists: existsAppend})
			if !first {
				commit(t, s, env, rows(0, 0, 5))
			}
			before := visible(t, env.Dir)
			env.Run = "run-2"
			w := open(t, s, env)
			write(t, w, rows(1, 0, 10), rows(2, 100, 10))
			journal := append(must(w.Prepare(t.Context(), 1))(t), must(w.Prepare(t.Context(), 2))(t)...)
			check(t, w.Publish(t.Context(), journal[:1]))
			check(t, w.(Resumer).Announce(t.Context()))
			die(t, w)
			env = restarted(t, env)
			env.Resume = true
			w = open(t, s, env)
			check(t, w.(Resumer).Resume(t.Context(), journal, nil))
			check(t, w.Abort())
			if d := cmp.Diff(before, visible(t, env.Dir)); d != "" || uploads(t, env) > 0 || len(leftovers(t, env.Dir)) > 0 {
				t.Errorf("%s%v, %d uploads", d, leftovers(t, env.Dir), uploads(t, env))
			}
			manifest := filepath.Join(env.Dir, "out", "_manifest.json")
			if first {
				if _, err := os.Stat(manifest); err == nil {
					t.Error("its manifest stays")
				}
			} else if m := readManifestFile(t, manifest); m.Run != "run-1" || m.Rows != 5 || m.Partial {
				t.Errorf("%+v", m)
			}
		}
	})
}

// Announce names what takes no other file's place; the rest is named by Finish,
// in one step with what it replaces.
func TestAnnounce(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		f := func(kind string, announced, finished int64) {
			t.Helper()
			env := g.env(t, "run-1")
			by := []string{"part"}
			commit(t, g.sink("out", Files{PartitionBy: by}), env, rows(0, 0, 2)) // partitions 0 and 1 of 3
			env.Run = "run-2"
			w := open(t, g.sink("out", Files{PartitionBy: by, IfExists: kind}), env)
			write(t, w, rows(1, 0, 30))
			check(t, w.Publish(t.Context(), must(w.Prepare(t.Context(), 1))(t)))
			for range 2 {
				check(t, w.(Resumer).Announce(t.Context()))
			}
			m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json"))
			if m.Rows != announced || len(m.Replaces) > 0 || m.Partial != (announced > 2) {
				t.Errorf("%s: announced %+v", kind, m)
			}
			check(t, w.Finish(t.Context(), true))
			m = readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json"))
			if m.Rows != finished || m.Partial {
				t.Errorf("%s: finished %+v", kind, m)
			}
		}
		f(existsAppend, 32, 32)
		f(existsReplace, 2, 30)
		f(existsReplacePartitions, 12, 30)
	})
}

// A backfill of one partition leaves the others as they are, and may be repeated.
func TestBackfill(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		by := Files{PartitionBy: []string{"part"}, IfExists: existsReplacePartitions}
		first := commit(t, g.sink("out", by), env, rows(0, 0, 30))
		for _, run := range []string{"run-2", "run-3"} {
			env.Run = run
			again := commit(t, g.sink("out", by), env, rows(0, 3, 1), rows(0, 6, 1)) // partition x
			if d := cmp.Diff(append(paths(again), paths(first)[1:]...), visible(t, filepath.Join(env.Dir, "out"))); d != "" {
				t.Error(d)
			}
			for _, p := range first[1:] {
				if err := same(filepath.Join(env.Dir, "out", p.Path), p); err != nil {
					t.Error(err)
				}
			}
			if m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json")); m.Rows != 22 || len(m.Files) != 3 {
				t.Errorf("%+v", m)
			}
		}
	})
}

// Whatever if_exists says, a run that died in the middle of its end is brought to
// the same end.
func TestResumeWithEveryIfExists(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		for _, kind := range []string{existsError, existsAppend, existsReplace, existsReplacePartitions} {
			env := g.env(t, "run-1")
			l := Files{PartitionBy: []string{"part"}, IfExists: kind}
			var want []string // of the first run
			if kind != existsError {
				first := commit(t, g.sink("out", l), env, rows(0, 0, 30))
				switch kind {
				case existsAppend:
					want = paths(first)
				case existsReplacePartitions:
					want = paths(first[1:]) // the second run writes partition x alone
				}
			}
			env.Run = "run-2"
			w := open(t, g.sink("out", l), env)
			write(t, w, rows(1, 0, 1), rows(2, 3, 1))
			journal := append(must(w.Prepare(t.Context(), 1))(t), must(w.Prepare(t.Context(), 2))(t)...)
			check(t, w.Publish(t.Context(), journal[:1]))
			check(t, w.(Resumer).Announce(t.Context()))
			for _, end := range []string{"published in part", "published", "finished"} {
				if end != "published in part" {
					check(t, w.Publish(t.Context(), journal))
				}
				if end == "finished" {
					check(t, w.(*fileWriter).commit(t.Context(), true))
				}
				die(t, w)
				env = restarted(t, env)
				env.Resume = true
				w = open(t, g.sink("out", l), env)
				check(t, w.(Resumer).Resume(t.Context(), journal, nil))
			}
			check(t, w.Publish(t.Context(), journal))
			check(t, w.Finish(t.Context(), true))
			want = append(want, paths(journal)...)
			slices.Sort(want)
			dir := filepath.Join(env.Dir, "out")
			if d := cmp.Diff(want, visible(t, dir)); d != "" {
				t.Errorf("%s: %s", kind, d)
			}
			m := readManifestFile(t, filepath.Join(dir, "_manifest.json"))
			if len(m.Files) != len(want) || m.Partial || len(m.Replaces) > 0 {
				t.Errorf("%s: %+v", kind, m)
			}
			if left := leftovers(t, dir); len(left) > 0 || uploads(t, env) > 0 {
				t.Errorf("%s left behind: %v, %d uploads", kind, left, uploads(t, env))
			}
		}
	})
}
