package sinks

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/stages"
)

// The dead letter goes on as the sink does, and counts the rows of the processes
// before.
func TestResumeOfADeadLetter(t *testing.T) {
	onDisk := &ground{env: testEnv}
	for name, g := range map[string]*ground{"on disk": onDisk, "on S3": parquetOnS3(t)} {
		for _, end := range []string{"crash", "suspend"} {
			t.Run(end+" "+name, func(t *testing.T) {
				env := g.env(t, "run-1")
				path := "dead"
				if g.s3 {
					path = "s3://" + filepath.Base(env.Dir) + "/dead"
				}
				reopen := func() *DeadLetterWriter {
					t.Helper()
					w, err := (&DeadLetter{Path: path}).Open(t.Context(), env)
					check(t, err)
					t.Cleanup(func() { w.Abort() })
					return w
				}
				reject := func(w *DeadLetterWriter, epoch uint64, n int) {
					t.Helper()
					b := rows(epoch, 0, n)
					check(t, w.Reject(t.Context(), &stages.Rejected{Stage: "score", Frame: b.Value, Err: errors.New("no"), Batch: b}))
				}
				w := reopen()
				reject(w, 1, 3)
				reject(w, 2, 5)
				journal := must(w.Prepare(t.Context(), 1))(t)
				check(t, w.Publish(t.Context(), journal))
				check(t, w.Announce(t.Context()))
				reject(w, 3, 7)
				journal = append(journal, must(w.Prepare(t.Context(), 2))(t)...)
				state := must(w.State())(t)
				if end == "crash" {
					die(t, w.files)
				} else {
					check(t, w.Suspend())
				}

				env = restarted(t, env)
				env.Resume = true
				w = reopen()
				text := must(json.Marshal(journal))(t) // as a journal keeps it
				journal = nil
				check(t, json.Unmarshal(text, &journal))
				check(t, w.Resume(t.Context(), journal, state))
				if w.Rows() != 8 {
					t.Errorf("%d rows of the processes before", w.Rows())
				}
				reject(w, 3, 2)
				journal = append(journal, must(w.Prepare(t.Context(), 3))(t)...)
				check(t, w.Publish(t.Context(), journal))
				check(t, w.Finish(t.Context(), true))
				check(t, w.Close())
				dir := filepath.Join(env.Dir, "dead")
				if d := cmp.Diff(paths(journal), visible(t, dir)); d != "" {
					t.Error(d)
				}
				if m := readManifestFile(t, filepath.Join(dir, "_manifest.json")); m.Rows != 10 || len(m.Files) != 3 || w.Rows() != 10 {
					t.Errorf("%d rows, manifest %+v", w.Rows(), m)
				}
				if left := leftovers(t, dir); len(left) > 0 || uploads(t, env) > 0 {
					t.Errorf("left behind: %v, %d uploads", left, uploads(t, env))
				}
			})
		}
	}
}
