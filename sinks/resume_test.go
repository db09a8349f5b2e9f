package sinks

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/stages"
)

// A run goes on in another process after one that died or was suspended at any
// step: what was prepared and is in the journal stays, everything else of the run
// goes, and in the end each row is there once.
func TestResumeAtEveryStep(t *testing.T) {
	steps := []string{"open", "write", "prepare", "journal", "publish", "announce"}
	eachGround(t, func(t *testing.T, g *ground) {
		for _, end := range []string{"crash", "suspend"} {
			for last := range steps {
				t.Run(end+" after "+steps[last], func(t *testing.T) {
					env := g.env(t, "run-1")
					l := Files{IfExists: existsAppend, PartitionBy: []string{"part"}}
					commit(t, g.sink("out", l), env, rows(0, 900, 9))
					env.Run = "run-2"
					w := open(t, g.sink("out", l), env)
					var journal []Part
					var state []byte
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
