//go:build unix

package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// set writes a version of an environment, as a server does.
func (w *world) set(e tasks.Environment) {
	w.Helper()
	data := w.json(&e)
	_, errs := w.b.WriteAll(w.Context(), []broker.Write{
		{Subject: tasks.EnvSubject(e.Name, e.Version), Data: data, Any: true}, {Subject: tasks.EnvSubject(e.Name, 0), Data: data, Any: true},
	})
	for _, err := range errs {
		if err != nil {
			w.Fatal(err)
		}
	}
}

func TestEnvironments(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{Max: 2})
	in := func(env, code string) tasks.Job {
		c := expr(code)
		c.Env = env
		return tasks.Job{Call: c}
	}
	text, err := w.s.PutBytes(t.Context(), []byte("which <- function() 'one'\n"))
	if err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(t.TempDir(), "local.R")
	write := func(code string) {
		t.Helper()
		if err := os.WriteFile(local, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("of_file <- 'a'")
	one := tasks.Environment{
		Name: "models", Version: 1, Packages: []string{"splines"}, Setup: "set_up <- paste(which(), 'set up')",
		Sources: []tasks.Source{{Name: "which.R", Ref: text}, {Name: "local.R", Path: local}},
		Options: map[string]string{"digits": "3L"}, Env: map[string]string{"MODEL": "m"}, Dir: t.TempDir(),
	}
	w.set(one)
	code := "paste(which(), set_up, of_file, getOption('digits'), Sys.getenv('MODEL'), basename(getwd()), is.function(bs))"
	want := "one one set up a 3 m " + filepath.Base(one.Dir) + " TRUE"
	if got := w.shown(w.await(w.submit(in("models", code)), 1, tasks.Complete)); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// What runs goes on while a new version comes up; what is claimed from then on has it.
	gate := filepath.Join(t.TempDir(), "go")
	old := w.submit(in("models", "while (!file.exists('"+gate+"')) Sys.sleep(0.01); which()"))
	w.await(old, 1, tasks.Running)
	two := one
	if two.Sources, err = []tasks.Source{{Name: "which.R"}}, nil; err != nil {
		t.Fatal(err)
	}
	if two.Sources[0].Ref, err = w.s.PutBytes(t.Context(), []byte("which <- function() 'two'; of_file <- 'b'\n")); err != nil {
		t.Fatal(err)
	}
	two.Version = 2
	w.set(two)
	if got := w.shown(w.await(w.submit(in("models", "which()")), 1, tasks.Complete)); got != "two" {
		t.Error(got)
	}
	if got := w.shown(w.await(w.submit(in("models@1", "which()")), 1, tasks.Complete)); got != "one" {
		t.Errorf("pinned: %s", got)
	}
	if w.task(old, 1).State != tasks.Running {
		t.Error("the old one has been ended")
	}
	write("")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.shown(w.await(old, 1, tasks.Complete)); got != "one" {
		t.Error(got)
	}

	// A broken one is an error of its tasks, and of no others.
	w.set(tasks.Environment{Name: "broken", Version: 1, Setup: "stop('no model here')"})
	failed := w.await(w.submit(in("broken", "1")), 1, tasks.Error)
	if failed.Failure.Cause != tasks.CauseStart || !strings.Contains(failed.Failure.Message, "no model here") {
		t.Errorf("%+v", failed.Failure)
	}
	none := w.await(w.submit(in("none", "1")), 1, tasks.Error)
	if none.Failure.Cause != tasks.CauseStart || !strings.Contains(none.Failure.Message, "environment none@0: there is none") {
		t.Errorf("%+v", none.Failure)
	}
	pack := in("", "1")
	pack.Call.Packages = []string{"notThere"}
	if f := w.await(w.submit(pack), 1, tasks.Error).Failure; f.Classes[0] != "rpipe_package" {
		t.Errorf("%+v", f)
	}
	// Tried again, it may have been mended.
	again := in("broken", "'mended'")
	again.Retry = tasks.Retry{Errors: 5, Delay: 300 * time.Millisecond}
	j := w.submit(again)
	w.until("it has failed once", func() bool { return w.task(j, 1).Errors > 0 })
	w.set(tasks.Environment{Name: "broken", Version: 2})
	if got := w.shown(w.await(j, 1, tasks.Complete)); got != "mended" {
		t.Error(got)
	}
}

// TestEnvironmentsMadeAnew: what is remembered of a version that was deleted is not used for
// another one of its name and number, nor once there is none.
func TestEnvironmentsMadeAnew(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{})
	made := func(text string, at time.Time) {
		t.Helper()
		ref, err := w.s.PutBytes(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		w.set(tasks.Environment{Name: "models", Version: 1, Created: at, Sources: []tasks.Source{{Name: "which.R", Ref: ref}}})
	}
	submitted := func(env string) *tasks.Job {
		t.Helper()
		c := expr("which")
		c.Env = env
		return w.submit(tasks.Job{Call: c})
	}
	says := func(want string) {
		t.Helper()
		for _, env := range []string{"models", "models@1"} {
			if got := w.shown(w.await(submitted(env), 1, tasks.Complete)); got != want {
				t.Errorf("%s is %s, want %s", env, got, want)
			}
		}
	}
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	made("which <- 'first'", noon)
	says("first")
	for _, version := range []int{1, 0} {
		if _, err := w.b.Write(t.Context(), broker.Write{Subject: tasks.EnvSubject("models", version), Any: true, Delete: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, env := range []string{"models", "models@1"} {
		if f := w.await(submitted(env), 1, tasks.Error).Failure; f.Cause != tasks.CauseStart || !strings.Contains(f.Message, "there is none of this name and version") {
			t.Errorf("%s: %+v", env, f)
		}
	}
	made("which <- 'again'", noon.Add(time.Minute))
	says("again")
}

// Files that an environment names are read anew when the worker is told to.
func TestRefresh(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{ID: "one"})
	local := filepath.Join(t.TempDir(), "local.R")
	for i, code := range []string{"v <- 'before'", "v <- 'after'"} {
		if err := os.WriteFile(local, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			w.set(tasks.Environment{Name: "e", Version: 1, Sources: []tasks.Source{{Name: "local.R", Path: local}}})
		} else {
			w.tell("one", tasks.Message{Type: "refresh"})
		}
		c := expr("v")
		c.Env = "e"
		want := []string{"before", "after"}[i]
		if got := w.shown(w.await(w.submit(tasks.Job{Call: c}), 1, tasks.Complete)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A task's seed is that of its number, whoever runs it, and of the first of a chain.
func TestSeeds(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{Max: 2})
	seed := int64(42)
	job := func() []string {
		j := w.submit(tasks.Job{Call: r("function(x) runif(1)"), Seed: &seed}, number64(1), number64(2), number64(3))
		w.end(j)
		var all []string
		for k := range 3 {
			all = append(all, w.shown(w.task(j, k+1)))
		}
		return all
	}
	a, b := job(), job()
	if strings.Join(a, " ") != strings.Join(b, " ") || a[0] == a[1] {
		t.Errorf("%v %v", a, b)
	}
	retried := &tasks.Task{N: 1, Origin: "first", RootN: 7}
	if number(retried) != 7 || number(&tasks.Task{N: 3}) != 3 {
		t.Error("a retried task has the number of the first of its chain")
	}
}

// R as another user reads the sources that were sent, from whom the cache is closed.
func TestSourcesForAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("R runs as another user where we are root only")
	}
	w := newWorld(t, broker.Options{})
	o := Options{ID: "one"}
	o.Base.User = "nobody"
	n := w.worker(o)
	ref, err := w.s.PutBytes(t.Context(), []byte("who <- function() Sys.info()[['user']]\n"))
	if err != nil {
		t.Fatal(err)
	}
	w.set(tasks.Environment{Name: "e", Version: 1, Sources: []tasks.Source{{Name: "who.R", Ref: ref}}})
	c := expr("who()")
	c.Env = "e"
	if got := w.shown(w.await(w.submit(tasks.Job{Call: c}), 1, tasks.Complete)); got != "nobody" {
		t.Error(got)
	}
	n.end()
	if _, err := os.Stat(n.envs.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", n.envs.dir, err)
	}
}
