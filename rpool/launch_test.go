//go:build unix

package rpool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

func TestEnvironmentsThatDoNotLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, code string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fails := write("fails.R", "x <- 1\n\nf <- function() stop('broken')\nf()\n")
	f := func(env Environment, step, what string, says ...string) {
		t.Helper()
		env.Start = StartFork
		start := time.Now()
		tpl, err := launch(t.Context(), &env, &Options{StartTimeout: 5 * time.Second})
		if err == nil {
			tpl.Close()
			t.Fatalf("%+v: it came up", env)
		}
		var s *StartError
		if !errors.As(err, &s) || s.Step != step || s.What != what {
			t.Errorf("%v: want a StartError at %s %s", err, step, what)
		}
		for _, want := range says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%s %s: it took %v", step, what, d)
		}
	}
	f(Environment{Packages: []string{"stats", "no.such.package"}}, "package", "no.such.package", "not installed", `install.packages("no.such.package")`)
	f(Environment{Sources: []string{fails}}, "source", fails+":4", "broken")
	f(Environment{Sources: []string{write("syntax.R", "x <- 1\ny <- (2\nz }\n")}}, "source", dir+"/syntax.R:3", "unexpected")
	f(Environment{Sources: []string{"absent.R"}, Dir: dir}, "source", "absent.R", "no such file", dir)
	f(Environment{Sources: []string{write("leaves.R", "cat('bye\\n')\nquit('no', 4L)\n")}}, "load", "", "exited with status 4", "bye")
	f(Environment{Setup: "stop('set up wrong')"}, "setup", "", "set up wrong")
	f(Environment{Setup: "repeat Sys.sleep(1)"}, "load", "", "not done after 5s")
	f(Environment{Options: map[string]string{"digits": "no_such_thing"}}, "option", "digits", "no_such_thing")
	f(Environment{R: filepath.Join(dir, "no-R")}, "find R", filepath.Join(dir, "no-R"), "no such file")
	f(Environment{Dir: filepath.Join(dir, "nowhere")}, "start R", "/usr/bin/R", "no such file")
}

func TestAnEnvironmentIsLoadedInOrder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.R"), []byte("stopifnot('package:splines' %in% search())\na <- getOption('rpipe.x') + 1\nwarning('only a warning')\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.R"), []byte("b <- a + 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	tpl := launched(t, &Environment{
		Dir: dir, Packages: []string{"splines"}, Sources: []string{"a.R", "b.R"}, Setup: evalCode + "s <- b + 1",
		Options: map[string]string{"rpipe.x": "40"}, Env: []string{"RPIPE_TEST=yes"},
	}, nil)
	if forks, why := tpl.Forks(); !forks {
		t.Errorf("workers are not forked: %s", why)
	}
	if got := printed(t, started(t, tpl), `cat(s, Sys.getenv("RPIPE_TEST"), basename(getwd()), interactive())`); got != "43 yes "+filepath.Base(dir)+" FALSE" {
		t.Errorf("a worker says %q", got)
	}
}

func TestCanaryDecides(t *testing.T) {
	t.Parallel()
	f := func(env Environment, says string) {
		t.Helper()
		env.Setup += evalCode
		tpl := launched(t, &env, nil)
		forks, why := tpl.Forks()
		if forks || !strings.Contains(why, says) {
			t.Errorf("forks: %v, because %q; want spawn because %q", forks, why, says)
		}
		p, q := started(t, tpl), started(t, tpl)
		if a, b := printed(t, p, `cat(tempdir(), runif(1))`), printed(t, q, `cat(tempdir(), runif(1))`); a == b || !strings.Contains(a, p.dir) {
			t.Errorf("spawned workers say %q and %q", a, b)
		}
		p.Stop()
		if d := p.Death(); d == nil || d.ExitStatus != 0 || d.Signal != "" {
			t.Errorf("a stopped worker ended with %v", d)
		}
		if p.group.pgid == q.group.pgid {
			t.Error("spawned workers share a group")
		}
		died(t, q, run(`quit("no", 3L)`))
	}
	f(Environment{Canary: `Sys.sleep(60)`, CanaryWait: 300 * time.Millisecond}, "did not answer within 300ms")
	f(Environment{Canary: `function() quit("no", 11L)`}, "exited with status 11")
	f(Environment{Canary: `stop("no good")`}, "no good")
	f(Environment{Start: StartSpawn}, "start: spawn")
}

func TestLaunchIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 400*time.Millisecond, errGivenUp)
	defer cancel()
	if _, err := launch(ctx, &Environment{Setup: `Sys.sleep(60)`}, &Options{}); !errors.Is(err, errGivenUp) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

func TestFramesOverTheLimit(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, &Options{MaxFrame: 1 << 20}))
	big := &Request{Kind: Call, Data: item(t, &rdata.List{Values: []rdata.Value{text("length"), &rdata.List{Values: []rdata.Value{&rdata.Double{Values: make([]float64, 1<<18)}}}}})}
	var over *FrameSizeError
	if _, err := p.Do(t.Context(), big); !errors.As(err, &over) || !over.Request {
		t.Errorf("a request of 2 MiB: %v", err)
	}
	if c := rejected(t, p, run(`numeric(2^18)`)); c.Classes[0] != "rpipe_too_large" || !strings.Contains(c.Message, "over the limit of 1048576 bytes") {
		t.Errorf("a reply of 2 MiB: %v", c)
	}
	if _, err := p.Do(t.Context(), run(`numeric(1e5)`)); err != nil {
		t.Errorf("a reply of 800 kB: %v", err)
	}
	// R code that writes a frame of its own making.
	_, err := p.Do(t.Context(), run(`
		con <- file(file.path(dirname(Sys.getenv("TMPDIR")), "out"), "wb", raw = TRUE)
		writeBin(c(-1L, 2147483647L, 1L, 33L), con); flush(con); 1`))
	if !errors.As(err, &over) || over.Request {
		t.Errorf("a forged header: %v", err)
	}
	if p.Death() == nil {
		t.Error("a worker that sends nonsense lives on")
	}
}

func TestLargeFrames(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode + `same <- function(x) x`}, nil))
	v := make([]float64, 3<<20)
	for i := range v {
		v[i] = float64(i)
	}
	r, err := p.Do(t.Context(), call("same", &rdata.Double{Values: v}))
	if err != nil {
		t.Fatal(err)
	}
	got := value(t, r).(*rdata.Double).Values
	if len(got) != len(v) || got[len(v)-1] != v[len(v)-1] {
		t.Errorf("%d numbers came back of %d", len(got), len(v))
	}
}
