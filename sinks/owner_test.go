package sinks

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// deadPid is the pid of a process that has ended.
func deadPid(t testing.TB) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	check(t, cmd.Run())
	return cmd.Process.Pid
}

// Two sinks of one run are not told to wait for each other.
func TestTwoSinksOfOneRun(t *testing.T) {
	env := testEnv(t, "run-1")
	open(t, &Parquet{Path: "out"}, env)
	for _, open := range []func() error{
		func() error { _, err := (&CSV{Path: "out"}).Open(t.Context(), env); return err },
		func() error { _, err := (&DeadLetter{Path: "out"}).Open(t.Context(), env); return err },
	} {
		err := open()
		if !errors.Is(err, ErrLocked) || !strings.HasSuffix(err.Error(), ": another sink or dead letter of this same run writes there; give each its own path") {
			t.Error(err)
		}
	}
}

// Whose lock file was removed on disk cannot tell whether another run is there,
// and touches nothing more.
func TestLockFileThatIsGone(t *testing.T) {
	env := testEnv(t, "run-1")
	s := &Parquet{Path: "out", Files: Files{IfExists: existsAppend}}
	w := open(t, s, env)
	write(t, w, rows(0, 0, 10))
	parts := must(w.Prepare(t.Context(), 0))(t)
	check(t, os.Remove(filepath.Join(env.Dir, "out", ".rpipe.lock")))
	env2 := *env
	env2.Resume = true
	w2 := open(t, s, &env2)
	check(t, w2.(Resumer).Resume(t.Context(), parts, nil))
	if err := w.Publish(t.Context(), parts); !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), ".rpipe.lock was removed") {
		t.Error(err)
	}
	check(t, w.Abort())
	check(t, w2.Publish(t.Context(), parts))
	check(t, w2.Finish(t.Context(), true))
	if v := visible(t, env.Dir); len(v) != 1 {
		t.Errorf("%v", v)
	}
}

// The lock remembers the runs that died, also those before the last one.
func TestUncleanRuns(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		s := g.sink("out", Files{IfExists: existsAppend})
		w := open(t, s, env)
		write(t, w, rows(0, 0, 10))
		check(t, w.Publish(t.Context(), must(w.Prepare(t.Context(), 0))(t)))
		die(t, w)
		// The next one dies before it has cleared anything away.
		env = restarted(t, env)
		env.Run = "run-2"
		p := placeOf(w)
		if d, ok := p.(*directory); ok {
			next := &directory{dir: d.dir}
			_, err := next.take(t.Context(), newOwner(env))
			check(t, err)
			next.lock.f.Close()
		} else {
			b := p.(*bucket)
			next := &bucket{client: env.S3, at: b.at, log: b.log, lock: &lease{client: env.S3, at: b.lock.at, ttl: b.lock.ttl, strict: true, log: b.log}}
			_, err := next.take(t.Context(), newOwner(env))
			check(t, err)
			stall(t, next)
		}
		env = restarted(t, env)
		env.Run = "run-3"
		parts := commit(t, s, env, rows(0, 0, 3))
		if v := visible(t, filepath.Join(env.Dir, "out")); len(v) != 1 || v[0] != parts[0].Path {
			t.Errorf("%v", v)
		}
	})
}

func TestOneEpoch(t *testing.T) {
	f := func(s Single, want bool) {
		t.Helper()
		if s.OneEpoch() != want {
			t.Errorf("%+v: %v", s, !want)
		}
		w := open(t, s.(Sink), testEnv(t, "run-1"))
		if w.(Single).OneEpoch() != want {
			t.Errorf("writer of %+v: %v", s, !want)
		}
	}
	f(&Parquet{Path: "out"}, false)
	f(&Parquet{Path: "out.parquet"}, true)
	f(&CSV{Path: "out", Compression: "gzip"}, false)
	f(&CSV{Path: "out.tsv.gz"}, true)
	f(&NDJSON{Path: "out/x.jsonl"}, true)
	f(&NDJSON{Path: "out"}, false)
	f(&RDS{Path: "x.rds"}, true)
	f(&RDS{Path: "rds"}, false)
}
