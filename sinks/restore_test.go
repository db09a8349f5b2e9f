package sinks

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A run that died after it renamed its file over the one of before, and before
// its manifest, has not committed: the next run finds the one of before. After the
// manifest it has.
func TestSingleFileThatADeadRunReplaced(t *testing.T) {
	eachSink(t, func(t *testing.T, ext string, sink func(string, Files) Sink) {
		for _, committed := range []bool{false, true} {
			env := testEnv(t, "run-1")
			s := sink("one"+ext, Files{IfExists: existsReplace})
			want := commit(t, s, env, rows(0, 0, 10))
			env.Run = "run-2"
			w := open(t, s, env)
			write(t, w, rows(0, 0, 20))
			parts := must(w.Prepare(t.Context(), 0))(t)
			check(t, w.Publish(t.Context(), parts))
			if committed {
				check(t, w.(*fileWriter).commit(t.Context(), true))
				want = parts
			}
			die(t, w)
			env.Run = "run-3"
			w = open(t, s, env)
			if size := w.(*fileWriter).out.there["one"+ext]; size != want[0].Bytes {
				t.Errorf("committed %v: it found %d bytes, want %d", committed, size, want[0].Bytes)
			}
			check(t, w.Abort())
			if err := same(filepath.Join(env.Dir, "one"+ext), want[0]); err != nil {
				t.Errorf("committed %v: %v", committed, err)
			}
			if d := cmp.Diff([]string{".one" + ext + ".manifest.json", "one" + ext}, tree(t, env.Dir)); d != "" {
				t.Errorf("committed %v: %s", committed, d)
			}
		}
	})
}
