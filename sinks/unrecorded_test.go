package sinks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// unrecorded begins uploads under these names below out, as a process does that is
// killed before it can put them on record.
func unrecorded(t *testing.T, env *stages.Env, names ...string) {
	t.Helper()
	for _, name := range names {
		l := store.Location{Bucket: filepath.Base(env.Dir), Key: "out/" + name}
		must(must(env.S3.Upload(t.Context(), l, nil))(t).Close())(t)
	}
}

// An upload that was begun and is not on record is told by its name.
func TestUploadsWithoutARecord(t *testing.T) {
	g := parquetOnS3(t)
	sink := g.sink("out", Files{IfExists: existsAppend})
	f := func(what string, left int, end func(env *stages.Env) Writer) {
		t.Helper()
		env := g.env(t, "run-1")
		w := end(env)
		if n := uploads(t, env); n != left {
			t.Errorf("%s: %d uploads are open, want %d", what, n, left)
		}
		check(t, w.Abort())
	}
	const dead, partition = "run-1-00001-00007-0123abcd.parquet", "day=1/run-1-00001-00008-0123abcd.parquet"
	others := []string{
		"run-9-00001-00001-0123abcd.parquet",      // of a run that no lock names
		"run-1-00001-00001-0123abcd.csv",          // of another format
		"deep/run-1-00001-00001-0123abcd.parquet", // of an output below
		"run-1.parquet",                           // of somebody else
	}
	f("a run after one that died", len(others), func(env *stages.Env) Writer {
		w := open(t, sink, env)
		unrecorded(t, env, append(others, dead, partition)...)
		die(t, w)
		env = restarted(t, env)
		env.Run = "run-2"
		return open(t, sink, env)
	})
	f("a run that is resumed", len(others)+1, func(env *stages.Env) Writer {
		w := open(t, sink, env)
		write(t, w, rows(1, 0, 10))
		journal := must(w.Prepare(t.Context(), 1))(t)
		unrecorded(t, env, append(others, dead, partition)...)
		die(t, w)
		env = restarted(t, env)
		env.Resume = true
		w = open(t, sink, env)
		check(t, w.(Resumer).Resume(t.Context(), journal, nil))
		return w
	})
	f("a run that finishes", len(others), func(env *stages.Env) Writer {
		w := open(t, sink, env)
		write(t, w, rows(0, 0, 10))
		unrecorded(t, env, append(others, dead, partition)...)
		check(t, w.Publish(t.Context(), must(w.Prepare(t.Context(), 0))(t)))
		check(t, w.Finish(t.Context(), true))
		return w
	})
}

// Who asked the server something and was killed left an object or an upload, which
// the next run removes; those of one who may be asking stay.
func TestQuestionsOfTheDead(t *testing.T) {
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	bucket := filepath.Base(env.Dir)
	ask := func(who string) {
		for _, name := range []string{".rpipe.lock.clock-", store.ProbeName} {
			must(env.S3.Put(t.Context(), store.Location{Bucket: bucket, Key: "out/" + name + who}, []byte(who), store.Condition{}))(t)
		}
		unrecorded(t, env, store.ProbeName+who)
	}
	age := func(by time.Duration) { // all that is younger
		then := time.Now().Add(-by)
		check(t, filepath.WalkDir(env.Dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.ModTime().After(then) {
				err = os.Chtimes(path, then, then)
			}
			return err
		}))
	}
	ask("dead")
	age(time.Hour)
	ask("alive")
	age(10 * time.Second)
	check(t, open(t, g.sink("out", Files{}), env).Abort())
	want := []string{"out/" + store.ProbeName + "alive", "out/.rpipe.lock.clock-alive"}
	if d := cmp.Diff(want, leftovers(t, env.Dir)); d != "" || uploads(t, env) != 1 {
		t.Errorf("%s%d uploads", d, uploads(t, env))
	}
}

// What a commit has replaced is deleted by the owner of the place alone.
func TestReplacedFilesStayWhereThePlaceIsLost(t *testing.T) {
	eachPlace(t, func(t *testing.T, g *ground) {
		env := g.env(t, "run-1")
		sink := g.sink("out", Files{IfExists: existsReplace})
		first := commit(t, sink, env, rows(0, 0, 10))
		env = restarted(t, env)
		env.Run = "run-2"
		w := open(t, sink, env).(*fileWriter)
		if b, ok := w.out.place.(*bucket); ok {
			stall(t, b)
		} else {
			check(t, os.Remove(filepath.Join(env.Dir, "out", lockSuffix)))
		}
		next := restarted(t, env)
		next.Run = "run-3"
		open(t, sink, next)
		w.out.old.Replaces = paths(first)
		if err := w.out.finishReplace(t.Context()); !errors.Is(err, ErrFenced) {
			t.Errorf("error %v", err)
		}
		if n := len(visible(t, filepath.Join(env.Dir, "out"))); n != 1 {
			t.Errorf("%d files", n)
		}
	})
}
