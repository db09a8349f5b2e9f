package sinks

import (
	"path/filepath"
	"testing"
)

// A process may die after its upload was completed and before the record of the
// upload went: the file is the run's own, also where if_exists would let it take
// the place of another.
func TestResumeOfASingleObjectThatWasJustCompleted(t *testing.T) {
	g := parquetOnS3(t)
	for _, kind := range []string{existsError, existsReplace} {
		for _, before := range []bool{false, true} {
			if before && kind == existsError {
				continue
			}
			name := kind + " of nothing"
			if before {
				name = kind + " of a file"
			}
			t.Run(name, func(t *testing.T) {
				env := g.env(t, "run-1")
				s := g.sink("one"+g.ext, Files{IfExists: kind})
				if before {
					commit(t, s, env, rows(0, 0, 10)) // as many bytes as the new one
				}
				env.Run = "run-2"
				w := open(t, s, env)
				write(t, w, rows(0, 0, 10))
				journal := must(w.Prepare(t.Context(), 0))(t)
				state := must(w.(Resumer).State())(t)
				b := placeOf(w).(*bucket)
				check(t, b.client.Complete(t.Context(), b.key(journal[0].Path), journal[0].Upload, journal[0].Bytes, kind == existsReplace))
				die(t, w)

				env = restarted(t, env)
				env.Resume = true
				w = open(t, s, env)
				check(t, w.(Resumer).Resume(t.Context(), journal, state))
				check(t, w.Publish(t.Context(), journal))
				check(t, w.Finish(t.Context(), true))
				if err := same(filepath.Join(env.Dir, "one"+g.ext), journal[0]); err != nil {
					t.Error(err)
				}
				if left := leftovers(t, env.Dir); len(left) != 1 || uploads(t, env) > 0 { // the manifest
					t.Errorf("left behind: %v, %d uploads", left, uploads(t, env))
				}
			})
		}
	}
}
