//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/rdata"
)

// printed is what R code prints on p.
func printed(t *testing.T, p process, code string) string {
	t.Helper()
	r, err := p.Do(t.Context(), run(code))
	if err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	return r.Output
}

func TestWorkersHaveTheirOwnThings(t *testing.T) {
	var notes = t.TempDir()
	tpl := launched(t, &Environment{
		Start: StartFork, Setup: evalCode + `set.seed(1); writeLines("kept", tempfile("of-template", fileext = ".txt")); was <- tempdir()`,
		BeforeFork: fmt.Sprintf(`cat("b", file = %q, append = TRUE)`, filepath.Join(notes, "before")),
		AfterFork:  `connected_by <- Sys.getpid()`,
	}, nil)
	a, b := started(t, tpl), started(t, tpl)
	differ := func(code string) {
		t.Helper()
		x, y := printed(t, a, code), printed(t, b, code)
		if x == y || x == "" {
			t.Errorf("%s: %q in both workers", code, x)
		}
	}
	differ(`cat(tempdir())`)
	differ(`cat(Sys.getenv("TMPDIR"))`)
	differ(`cat(system("echo $TMPDIR", intern = TRUE))`)
	differ(`cat(runif(3))`)
	differ(`cat(Sys.getpid())`)
	for _, p := range []*worker{a, b} {
		if got := printed(t, p, `cat(connected_by == Sys.getpid(), tempdir() == was, length(dir(was)), compiler::enableJIT(-1))`); got != "TRUE FALSE 1 3" {
			t.Errorf("after_fork, own tempdir, template's files, JIT: %q", got)
		}
		if got := printed(t, p, `cat(tempdir())`); !strings.HasPrefix(got, p.dir) || got != p.tempdir {
			t.Errorf("tempdir %q is not in %q", got, p.dir)
		}
		if pgid, err := unix.Getpgid(p.Pid()); err != nil || pgid != tpl.Pid() {
			t.Errorf("the worker's group is %d, the template's %d (%v)", pgid, tpl.Pid(), err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(notes, "before")); string(got) != "bbb" { // the standby's fork is one, too
		t.Errorf("before_fork ran %q", got)
	}

	// One sibling ends, in either way; the other has its tempdir still.
	a.Stop()
	if d := a.Death(); d.ExitStatus != 0 || d.Signal != "" {
		t.Errorf("an idle worker ended with %v", d)
	}
	if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
		t.Errorf("the directory of a stopped worker: %v", err)
	}
	c := started(t, tpl)
	died(t, c, run(`quit("no")`)) // R removes the tempdir that it thinks its own
	if got := printed(t, b, `cat(file.create(tempfile()), length(dir(was)))`); got != "TRUE 1" {
		t.Errorf("after its siblings ended: %q", got)
	}
}

func TestStreamsOfLEcuyer(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode + `set.seed(5, kind = "L'Ecuyer-CMRG")`}, nil)
	for i := range 3 {
		want := strings.Trim(fmt.Sprint(SeedAt(5, uint64(i+1))), "[]")
		if got := printed(t, started(t, tpl), `cat(.Random.seed[-1])`); got != want {
			t.Errorf("worker %d has the stream %s, want %s", i+1, got, want)
		}
	}
}

func TestSeededRequests(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode + `draw <- function(df) { df$x <- rnorm(nrow(df)); df }`}, nil)
	a, b := started(t, tpl), started(t, tpl)
	draw := func(p process, n uint64) float64 {
		t.Helper()
		s := SeedAt(42, n)
		r, err := p.Do(t.Context(), &Request{Kind: Map, Fun: "draw", Data: item(t, dataFrame("x", 0)), Seed: &s})
		if err != nil {
			t.Fatal(err)
		}
		return value(t, r).(*rdata.List).Values[0].(*rdata.Double).Values[0]
	}
	printed(t, b, `runif(10); RNGkind("Wichmann-Hill"); set.seed(1)`)
	before := printed(t, b, `cat(.Random.seed)`)
	first := draw(a, 7)
	if again := draw(b, 7); again != first {
		t.Errorf("the same seed gives %v and %v", first, again)
	}
	if other := draw(a, 8); other == first {
		t.Error("another seed gives the same numbers")
	}
	if again := draw(a, 7); again != first {
		t.Error("the seed depends on what ran before")
	}
	if after := printed(t, b, `cat(.Random.seed)`); after != before {
		t.Error("a seeded request has changed the worker's own stream")
	}
	if got := printed(t, a, `cat(RNGkind())`); got != "Mersenne-Twister Inversion Rejection" {
		t.Errorf("a seeded request leaves the generator %q", got)
	}
	want := printed(t, a, `RNGkind("L'Ecuyer-CMRG"); .Random.seed <<- c(10407L, `+strings.Join(strings.Fields(strings.Trim(fmt.Sprint(SeedAt(42, 7)), "[]")), "L, ")+`L); cat(sprintf("%.17g", rnorm(1)))`)
	if got, _ := strconv.ParseFloat(want, 64); got != first {
		t.Errorf("R itself draws %v from that seed, the request drew %v", got, first)
	}
}

func TestForksThatFail(t *testing.T) {
	t.Parallel()
	f := func(env Environment, wait time.Duration, step string, says ...string) {
		t.Helper()
		env.Start = StartFork
		tpl := launched(t, &env, nil)
		tpl.(*forker).start = wait
		start := time.Now()
		p, err := tpl.Start(t.Context())
		if err == nil {
			p.Stop()
			t.Fatalf("%+v: it started", env)
		}
		var s *StartError
		if !errors.As(err, &s) || s.Step != step {
			t.Errorf("%+v: %v, want a StartError at %s", env, err, step)
		}
		for _, want := range says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%+v: it took %v", env, d)
		}
		if left, _ := filepath.Glob(filepath.Join(tpl.(*forker).home.dir, "w*")); len(left) > 1 { // worker.R
			t.Errorf("left behind: %q", left)
		}
		if _, err := os.Stat(tpl.(*forker).proc.tempdir); err != nil {
			t.Errorf("the template's tempdir: %v", err)
		}
	}
	f(Environment{BeforeFork: `stop("not now")`}, time.Minute, "fork", "not now")
	f(Environment{AfterFork: `stop("no database")`}, time.Minute, "fork", "no database")
	f(Environment{AfterFork: `cat("x\n"); quit("no", 9L)`}, time.Minute, "hello", "exited with status 9", "\nx")
	f(Environment{AfterFork: `tools::pskill(Sys.getpid(), 9L)`}, time.Minute, "hello", "killed by SIGKILL")
	f(Environment{AfterFork: `repeat Sys.sleep(1)`}, 2*time.Second, "hello", "no hello", "2s")
	// It dies before it opens its FIFOs, with the template's directory moved away.
	f(Environment{BeforeFork: `for (p in c("tools", "parallel", "compiler")) loadNamespace(p); unlockBinding("Sys.setenv", baseenv()); assign("Sys.setenv", function(...) { d <- tempdir(); file.rename(d, paste0(d, ".away")); tools::pskill(Sys.getpid(), 9L); Sys.sleep(9) }, baseenv())`},
		time.Minute, "hello", "killed by SIGKILL")
}

// A template that does not even fork is of no use to anybody: it ends, and its
// standby takes its place.
func TestATemplateThatHangsEnds(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode + `n <- 0`, BeforeFork: `n <- n + 1; while (n > 2) Sys.sleep(1)`}, nil).(*forker)
	p, first := started(t, tpl), tpl.Pid()
	tpl.start = 300 * time.Millisecond
	_, err := tpl.Start(t.Context())
	var s *StartError
	if !errors.As(err, &s) || s.Step != "fork" || !strings.Contains(err.Error(), "did not fork within 300ms") {
		t.Errorf("got %v", err)
	}
	if running(first) {
		t.Error("the template lives on")
	}
	if second := standby(t, tpl); tpl.Pid() == first || second == first {
		t.Errorf("the template is %d, its standby %d, they were %d", tpl.Pid(), second, first)
	}
	if got := printed(t, p, `cat(n)`); got != "2" {
		t.Errorf("the worker says %q", got)
	}
}

func TestAStartThatIsGivenUp(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode, AfterFork: `if (file.exists(flag)) Sys.sleep(600)`,
		BeforeFork: `flag <- file.path(was <- tempdir(), "slow")`}, nil)
	flag := filepath.Join(tpl.(*forker).proc.tempdir, "slow")
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errGivenUp)
	defer cancel()
	if _, err := tpl.Start(ctx); !errors.Is(err, errGivenUp) {
		t.Fatalf("got %v, want the context's cause", err)
	}
	os.Remove(flag)
	if got := printed(t, started(t, tpl), `cat(1)`); got != "1" { // forks go on
		t.Errorf("the next worker says %q", got)
	}
}

func TestIsolate(t *testing.T) {
	t.Parallel()
	f := func(start Start) {
		tpl := launched(t, &Environment{Start: start, Setup: evalCode + `n <- 0`}, nil)
		p := started(t, tpl)
		printed(t, p, `n <<- 5`)
		alone := func(code string) *Request {
			r := run(code)
			r.Isolate = true
			return r
		}
		r, err := p.Do(t.Context(), alone(`cat(n); n <<- 9; Sys.getpid()`))
		if err != nil {
			t.Fatal(err)
		}
		if r.Output != "0" || r.Pid == p.Pid() {
			t.Errorf("%s: isolated request printed %q in process %d of %d", start, r.Output, r.Pid, p.Pid())
		}
		if unix.Kill(r.Pid, 0) != unix.ESRCH {
			t.Errorf("%s: the isolated process lives on", start)
		}
		var d *DiedError
		if _, err := p.Do(t.Context(), alone(`quit("no", 5L)`)); !errors.As(err, &d) || d.ExitStatus != 5 {
			t.Errorf("%s: got %v, want exit status 5", start, err)
		}
		late := alone(`Sys.sleep(60)`)
		late.Timeout = 50 * time.Millisecond
		var timeout *TimeoutError
		if _, err := p.Do(t.Context(), late); !errors.As(err, &timeout) || timeout.Step != "SIGINT" {
			t.Errorf("%s: got %v, want a timeout", start, err)
		}
		if got := printed(t, p, `cat(n)`); got != "5" || p.Death() != nil {
			t.Errorf("%s: the worker itself says %q, death %v", start, got, p.Death())
		}
	}
	f(StartFork)
	f(StartSpawn)
}
