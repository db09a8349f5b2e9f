package sinks

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"

	"github.com/rpipe-dev/rpipe/stages"
)

// forTime is the environment of a run for a scheduled time.
func forTime(env *stages.Env, run, time string) *stages.Env {
	c := *env
	c.Run, c.Scheduled, c.Again = run, []string{time}, true
	return &c
}

const monday, tuesday, wednesday = "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "2026-11-04T00:00:00Z"

// A run takes the place of files for its own time, which an attempt may have left that
// died before it was committed, too; those of other times stay.
func TestFilesOfATimeAreReplaced(t *testing.T) {
	eachGround(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-0")
		dir := filepath.Join(env.Dir, "out")
		sink := func() Sink { return g.sink("out", Files{IfExists: existsAppend}) }
		other := commit(t, sink(), forTime(env, "run-1", monday), rows(0, 0, 5))
		commit(t, sink(), forTime(env, "run-2", tuesday), rows(0, 0, 10))
		again := commit(t, sink(), forTime(env, "run-3", tuesday), rows(0, 0, 7))
		if d := cmp.Diff(paths(other, again), visible(t, dir)); d != "" {
			t.Errorf("repeated: %s", d)
		}
		dead := published(t, sink(), forTime(env, "run-4", wednesday))
		if n := len(visible(t, dir)); n != 2+len(dead) {
			t.Fatalf("%d files", n)
		}
		fourth := commit(t, sink(), forTime(env, "run-4", wednesday), rows(0, 0, 3)) // with the same id
		if d := cmp.Diff(paths(other, again, fourth), visible(t, dir)); d != "" {
			t.Errorf("after an attempt that died: %s", d)
		}
		env.Run = "run-5" // for no time: it is added
		fifth := commit(t, sink(), env, rows(0, 0, 3))
		if d := cmp.Diff(paths(other, again, fourth, fifth), visible(t, dir)); d != "" {
			t.Errorf("for no time: %s", d)
		}
	})
}

// The columns of a time's output may change with its rows where no other's are there.
func TestColumnsOfATimeMayChange(t *testing.T) {
	env := testEnv(t, "run-0")
	sink := &CSV{Path: "out", Files: Files{IfExists: existsAppend}}
	commit(t, sink, forTime(env, "run-1", monday), rows(0, 0, 5))
	narrow := func() *stages.Rows {
		r := rows(0, 0, 3)
		r.Value = must(frame.Select(r.Value, []string{"id"}))(t)
		return r
	}
	commit(t, sink, forTime(env, "run-2", monday), narrow())
	w := open(t, sink, forTime(env, "run-3", tuesday))
	if err := w.Write(t.Context(), rows(0, 0, 3)); err == nil || !strings.Contains(err.Error(), `column "name" is new`) {
		t.Errorf("beside those of another time: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
}

// What would take rows of other times with it is refused before anything is computed.
func TestOtherTimesAreKept(t *testing.T) {
	env := testEnv(t, "run-0")
	f := func(kind, time, want string) {
		t.Helper()
		w, err := (&CSV{Path: "out", Files: Files{IfExists: kind}}).Open(t.Context(), forTime(env, "run-9", time))
		if err == nil {
			err = w.Abort()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s for %s: %v, want …%s…", kind, time, err, want)
		}
	}
	commit(t, &CSV{Path: "out", Files: Files{IfExists: existsAppend}}, forTime(env, "run-1", tuesday), rows(0, 0, 5))
	f(existsReplace, monday, "is of scheduled time "+tuesday+", and this run is for an earlier one, "+monday)
	f(existsReplace, tuesday, "")
	f(existsReplace, wednesday, "")
	f(existsAppend, monday, "")

	// Rows of several times in one file, as a replay adds them.
	both := *env
	both.Run, both.Scheduled = "run-2", []string{monday, wednesday}
	commit(t, &CSV{Path: "out", Files: Files{IfExists: existsAppend}}, &both, rows(0, 0, 5))
	f(existsAppend, monday, "has rows of 2 scheduled times together")
	f(existsAppend, tuesday, "")
	f(existsReplace, wednesday, "")
}

// What is committed is told without a lock, of directories and of single files.
func TestCommittedFilesAreTold(t *testing.T) {
	env := testEnv(t, "run-1")
	for _, path := range []string{"out", "one.csv"} {
		sink := &CSV{Path: path, Files: Files{IfExists: existsReplace}}
		if _, files, err := Committed(t.Context(), sink, env); err != nil || len(files) > 0 {
			t.Errorf("%s before a run: %v %v", path, files, err)
		}
		commit(t, sink, forTime(env, "run-1", monday), rows(0, 0, 5))
		w := open(t, sink, env) // has the lock
		root, files, err := Committed(t.Context(), sink, env)
		if err != nil || len(files) != 1 || files[0].Rows != 5 || files[0].Run != "run-1" || len(files[0].Scheduled) != 1 || root != filepath.Join(env.Dir, path) {
			t.Errorf("%s: %s %+v %v", path, root, files, err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
	if root, files, err := Committed(t.Context(), &Stdout{}, env); root != "" || files != nil || err != nil {
		t.Errorf("%s %v %v", root, files, err)
	}
}
