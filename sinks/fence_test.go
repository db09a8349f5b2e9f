package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// parquetOnS3 is the ground of tests of what only S3 has.
func parquetOnS3(t testing.TB) *ground {
	return onS3(t, ".parquet", func(path string, l Files) Sink { return &Parquet{Path: path, Files: l} })
}

// A process that was stopped, and wakes up after another has taken its place,
// makes nothing visible any more, whatever it does next, and spoils nothing.
func TestProcessThatWakesUpTooLate(t *testing.T) {
	steps := []string{"write", "prepare", "journal", "publish", "announce"}
	calls := []struct {
		name string
		call func(t *testing.T, w Writer, journal []Part) error
	}{
		{"Prepare", func(t *testing.T, w Writer, _ []Part) error { _, err := w.Prepare(t.Context(), 5); return err }},
		{"Publish", func(t *testing.T, w Writer, journal []Part) error { return w.Publish(t.Context(), journal) }},
		{"Announce", func(t *testing.T, w Writer, _ []Part) error { return w.(Resumer).Announce(t.Context()) }},
		{"Finish", func(t *testing.T, w Writer, _ []Part) error { return w.Finish(t.Context(), true) }},
	}
	g := parquetOnS3(t)
	for last, step := range steps {
		for _, taker := range []string{"the same run", "another run"} {
			t.Run(step+" then "+taker, func(t *testing.T) {
				t.Parallel()
				env := g.env(t, "run-1")
				s := g.sink("out", Files{IfExists: existsAppend})
				old := open(t, s, env)
				write(t, old, rows(1, 0, 10), rows(5, 50, 10))
				var journal []Part
				if last >= 1 {
					journal = must(old.Prepare(t.Context(), 1))(t)
				}
				kept := journal
				if last < 2 {
					kept = nil // it died before its journal was written
				}
				if last >= 3 {
					check(t, old.Publish(t.Context(), journal))
				}
				if last >= 4 {
					check(t, old.(Resumer).Announce(t.Context()))
				}
				stall(t, placeOf(old).(*bucket))

				env = restarted(t, env)
				env.Resume = taker == "the same run"
				if !env.Resume {
					env.Run = "run-2"
				}
				w := open(t, s, env)
				var parts []Part
				if env.Resume {
					check(t, w.(Resumer).Resume(t.Context(), kept, nil))
					parts = append(parts, kept...)
				}
				for _, c := range calls {
					if err := c.call(t, old, journal); !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "pid") {
						t.Errorf("%s: %v", c.name, err)
					}
				}
				if last%2 == 0 {
					check(t, old.Abort())
				} else {
					check(t, old.(Resumer).Suspend())
				}
				write(t, w, rows(7, 100, 10))
				parts = append(parts, must(w.Prepare(t.Context(), 7))(t)...)
				check(t, w.Publish(t.Context(), parts))
				check(t, w.Finish(t.Context(), true))
				if !env.Resume && last >= 4 {
					parts = append(parts, journal...) // what was announced stays
				}
				m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json"))
				if len(m.Files) != len(parts) || len(visible(t, filepath.Join(env.Dir, "out"))) != len(parts) {
					t.Errorf("%d parts, manifest %+v, visible %v", len(parts), m.Files, visible(t, env.Dir))
				}
				if left := leftovers(t, env.Dir); len(left) > 0 || uploads(t, env) > 0 {
					t.Errorf("left behind: %v, %d uploads", left, uploads(t, env))
				}
			})
		}
	}
}

// It cannot publish in the moment after it has asked whether the place is its
// own, either: its uploads and what it knew of the manifest are gone.
func TestProcessThatIsStoppedBetweenAskingAndActing(t *testing.T) {
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	s := g.sink("out", Files{IfExists: existsAppend})
	commit(t, s, env, rows(0, 500, 5))
	env.Run = "run-2"
	old := open(t, s, env)
	write(t, old, rows(1, 0, 10), rows(2, 50, 10))
	first := must(old.Prepare(t.Context(), 1))(t)
	second := must(old.Prepare(t.Context(), 2))(t)
	check(t, old.Publish(t.Context(), first))
	b := placeOf(old).(*bucket)
	stall(t, b)

	env = restarted(t, env)
	env.Run = "run-3"
	w := open(t, s, env)
	if err := b.publish(t.Context(), second, false, func(string) {}); !errors.Is(err, ErrFenced) {
		t.Errorf("publish: %v", err)
	}
	o := old.(*fileWriter).out
	m := old.(*fileWriter).manifest(false)
	m.add(first)
	if _, err := o.writeManifest(t.Context(), m); !errors.Is(err, ErrFenced) {
		t.Errorf("manifest: %v", err)
	}
	check(t, w.Abort())
	if m := readManifestFile(t, filepath.Join(env.Dir, "out", "_manifest.json")); m.Run != "run-1" || m.Rows != 5 || m.Taken != "" {
		t.Errorf("%+v", m)
	}
	if v := visible(t, env.Dir); len(v) != 1 {
		t.Errorf("visible: %v", v)
	}
}

// A prefix is another's as long as it renews its lease, also where the run is the
// same; one whose process is known to be dead is free at once.
func TestLeases(t *testing.T) {
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	s := g.sink("out", Files{IfExists: existsAppend})
	w := open(t, s, env)
	refused := func(run string, resume bool, words ...string) {
		t.Helper()
		e := restarted(t, env)
		e.Run, e.Resume = run, resume
		_, err := s.Open(t.Context(), e)
		if !errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("the message lacks %q: %v", word, err)
			}
		}
	}
	refused("run-2", false, fmt.Sprintf("run run-1, pid %d", os.Getpid()), "sign of life", "counts as dead after 1m0s", "wait until it is done")
	refused("run-1", false, "another sink or dead letter of this same run", "give each its own path")
	b := placeOf(w).(*bucket)
	// The same run, on another machine or in another container.
	b.lock.end()
	other := b.lock.me
	other.Host, other.Machine, other.Pid = "far", "another boot", 7
	check(t, b.lock.write(t.Context(), other, store.Condition{}))
	refused("run-1", true, "run run-1, pid 7 on far")
	if machine() == "" {
		return // this system does not tell of processes that are gone
	}
	other.Machine, other.Pid = machine(), deadPid(t)
	check(t, b.lock.write(t.Context(), other, store.Condition{}))
	e := restarted(t, env)
	e.Resume = true
	next, err := s.Open(t.Context(), e)
	check(t, err)
	check(t, next.Abort())
}

// A server that ignores conditions is told of, and used as well as may be.
func TestServerWithoutConditions(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	config := server.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPut || r.Header.Get("If-Match")+r.Header.Get("If-None-Match") == "" {
			next.ServeHTTP(w, r)
			return
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"whatever it was"`) // and it says that it did what was asked
	})
	g := parquetOnS3(t)
	env := g.env(t, "run-1").For("sink")
	s := g.sink("out", Files{IfExists: existsReplace})
	ignorant := func(run string) (*stages.Env, *bytes.Buffer) {
		log := new(bytes.Buffer)
		e := &stages.Env{Run: run, Pipeline: "test", Dir: env.Dir, S3: store.New(config), Log: slog.New(slog.NewTextHandler(log, nil))}
		t.Cleanup(e.S3.Close)
		return e.For("sink"), log
	}
	e, log := ignorant("run-2")
	old := open(t, s, e)
	open(t, g.sink("elsewhere", Files{}), e)
	if n := strings.Count(log.String(), "ignores conditional writes"); n != 1 {
		t.Errorf("said %d times: %s", n, log)
	}
	write(t, old, rows(0, 0, 5))
	if _, err := s.Open(t.Context(), restartedAs(t, e, "run-3")); !errors.Is(err, ErrLocked) {
		t.Errorf("while another is there: %v", err)
	}
	stall(t, placeOf(old).(*bucket))
	parts := commit(t, s, restartedAs(t, e, "run-3"), rows(0, 0, 3))
	if _, err := old.Prepare(t.Context(), 0); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	check(t, old.Abort())
	if d := cmp.Diff(paths(parts), visible(t, filepath.Join(env.Dir, "out"))); d != "" {
		t.Error(d)
	}
}

func restartedAs(t testing.TB, env *stages.Env, run string) *stages.Env {
	e := restarted(t, env)
	e.Run = run
	return e
}

// Data of others at the prefix is not replaced, and nothing stays of the attempt.
func TestPrefixWithFilesOfOthers(t *testing.T) {
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	key := filepath.Join(s3test.Start(t).Dir, filepath.Base(env.Dir), "out")
	check(t, os.MkdirAll(key, 0o755))
	check(t, os.WriteFile(filepath.Join(key, "precious.parquet"), []byte("x"), 0o644))
	_, err := g.sink("out", Files{IfExists: existsReplace}).Open(t.Context(), env)
	if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "precious.parquet") {
		t.Error(err)
	}
	if left := leftovers(t, env.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Without a bucket or a connection, Open says so.
func TestBadBuckets(t *testing.T) {
	g := parquetOnS3(t)
	f := func(path string, env *stages.Env, words ...string) {
		t.Helper()
		_, err := (&Parquet{Path: path}).Open(t.Context(), env)
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: the message lacks %q: %v", path, word, err)
			}
		}
	}
	f("s3://nowhere-at-all/out", g.env(t, "run-1"), "there is no bucket nowhere-at-all", "make it, or mend its name")
	f("s3:///out", g.env(t, "run-1"), "has no name of a bucket")
	f("s3://bucket/out", testEnv(t, "run-1"), "no connection to S3")
}
