//go:build unix

package rpool

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// died runs r and returns the death that it must end with.
func died(t *testing.T, p process, r *Request) *DiedError {
	t.Helper()
	reply, err := p.Do(t.Context(), r)
	var d *DiedError
	if !errors.As(err, &d) {
		t.Fatalf("got %v, %v; want the worker's death", reply, err)
	}
	if p.Death() == nil {
		t.Error("the worker is not said to be dead")
	}
	if d.Pid != p.Pid() {
		t.Errorf("pid %d, want %d", d.Pid, p.Pid())
	}
	return d
}

func TestCausesOfDeath(t *testing.T) {
	t.Parallel()
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil)
	dies := func(code string, want string) {
		t.Helper()
		d := died(t, started(t, tpl), run(code))
		if got := strings.TrimPrefix(d.Error(), "R worker "); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
	dies(`quit("no")`, "exited with status 0")
	dies(`quit("no", 17L)`, "exited with status 17")
	dies(`cat("my\nlast words\n"); q(status = 3)`, "exited with status 3; its last output: my\nlast words")
	dies(`parallel:::mcexit(4L)`, "exited with status 4")
	dies(`tools::pskill(Sys.getpid(), 11L)`, "was killed by SIGSEGV")
	dies(`message("about to go"); tools::pskill(Sys.getpid(), 6L)`, "was killed by SIGABRT; its last output: about to go")
	dies(`tools::pskill(Sys.getpid(), 9L)`, "was killed by SIGKILL")
	dies(`closeAllConnections()`, "exited with status 1")
	dies(`invokeRestart("abort")`, "exited with status 1")
	dies(`.Last <- function() cat("never\n"); quit("no", runLast = FALSE)`, "exited with status 0")
}

func TestADeadWorkerAnswersWithItsDeath(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	if p.Death() != nil {
		t.Fatal("dead while alive")
	}
	unix.Kill(p.Pid(), unix.SIGKILL)
	<-p.Exited()
	if d := died(t, p, run("1")); d.Signal != "SIGKILL" || d.OutOfMemory {
		t.Errorf("death %+v", d)
	}
	if p.RSS() != 0 {
		t.Errorf("a dead worker has %d bytes", p.RSS())
	}
	p.Stop()
}

// A program that a request leaves behind holds the worker's FIFOs open: the
// death must be known at once all the same.
func TestBackgroundProcessDoesNotHideADeath(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil)
	p := started(t, tpl)
	if _, err := p.Do(t.Context(), run(`system("sleep 300 &"); 1`)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	died(t, p, run(`system("sleep 300 &"); tools::pskill(Sys.getpid(), 9L); Sys.sleep(1)`))
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("the death was known after %v", d)
	}
	q := started(t, tpl)
	if _, err := q.Do(t.Context(), run(`parallel::mcparallel(Sys.sleep(300)); 1`)); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	q.Stop()
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("an idle worker took %v to stop", d)
	}
}

func TestAnAllocationOverTheLimitIsAnError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux enforces a limit on the address space")
	}
	env := &Environment{Start: StartFork, Setup: evalCode, Limits: Limits{AddressSpace: 1 << 30, Files: 200, CPU: 3600e9}}
	p := started(t, launched(t, env, nil))
	c := rejected(t, p, run(`x <- numeric(2^28); sum(x)`))
	if !strings.Contains(c.Message, "cannot allocate vector of size 2.0 Gb") {
		t.Errorf("message %q", c.Message)
	}
	r, err := p.Do(t.Context(), run(`system("ulimit -v; ulimit -n; ulimit -t")`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Output != "1048576\n200\n3600\n" {
		t.Errorf("limits %q", r.Output)
	}
}

func TestRunAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may run R as another user")
	}
	p := started(t, launched(t, &Environment{Start: StartFork, User: "nobody", Dir: "/", Setup: evalCode}, nil))
	r, err := p.Do(t.Context(), run(`cat(system("id -un; id -G", intern = TRUE)); stopifnot(file.create(tempfile()))`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Output, "nobody 65534") {
		t.Errorf("R ran as %q", r.Output)
	}
}
