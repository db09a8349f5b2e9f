//go:build unix

package rpool

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// standby is the pid of tpl's standby, which is there or on its way.
func standby(t *testing.T, tpl template) (pid int) {
	t.Helper()
	eventually(t, "there is a standby", func() bool {
		p, s := tpl.(*forker).both()
		if s == nil || isClosed(s.exited) || isClosed(p.exited) {
			return false
		}
		pid = s.pid
		return true
	})
	return pid
}

func TestTheStandbyTakesThePlaceOfTheTemplate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "code.R")
	write := func(code string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(evalCode + `version <- 1; writeLines("kept", was <- tempfile())`)
	tpl := launched(t, &Environment{Start: StartFork, Sources: []string{file}}, nil)
	before := started(t, tpl)
	write(`stop("this does not load")`)
	first, second := tpl.Pid(), standby(t, tpl)
	unix.Kill(first, unix.SIGKILL)
	after := started(t, tpl)
	if tpl.Pid() != second || isClosed(tpl.Exited()) {
		t.Errorf("the template is %d, the standby was %d", tpl.Pid(), second)
	}
	for _, p := range []*worker{before, after} {
		if got := printed(t, p, `cat(version, readLines(was), file.create(tempfile()))`); got != "1 kept TRUE" {
			t.Errorf("a worker says %q", got)
		}
		if pgid, err := unix.Getpgid(p.Pid()); err != nil || pgid != first {
			t.Errorf("the group of a worker is %d, want %d (%v)", pgid, first, err)
		}
	}
}

// Nothing is left to fork from then; workers live on.
func TestTemplateAndStandbyDieAtOnce(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil)
	p := started(t, tpl)
	tpl.(*forker).turn <- struct{}{} // nobody takes the template's place meanwhile
	unix.Kill(standby(t, tpl), unix.SIGKILL)
	unix.Kill(tpl.Pid(), unix.SIGKILL)
	for _, w := range []*worker{tpl.(*forker).proc, tpl.(*forker).standby} {
		<-w.exited
	}
	<-tpl.(*forker).turn
	<-tpl.Exited()
	if got := printed(t, p, `cat(file.create(tempfile()))`); got != "TRUE" {
		t.Errorf("the worker says %q", got)
	}
	if _, err := tpl.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "the template has gone") {
		t.Errorf("a dead template started a worker: %v", err)
	}
	p.Stop()
	if d := p.Death(); d.ExitStatus != 0 || d.Signal != "" {
		t.Errorf("the worker ended with %v", d)
	}
}

func TestAStandbyThatDiesIsReplaced(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil).(*forker)
	_, s := tpl.both()
	unix.Kill(s.pid, unix.SIGKILL)
	<-s.exited
	if d := s.Death(); d.Signal != "SIGKILL" {
		t.Errorf("it ended with %v", d)
	}
	if again := standby(t, tpl); again == s.pid || again == tpl.Pid() {
		t.Errorf("the standby is %d, it was %d", again, s.pid)
	}
	first := tpl.Pid()
	unix.Kill(first, unix.SIGKILL)
	if got := printed(t, started(t, tpl), `cat(1)`); got != "1" || tpl.Pid() == first {
		t.Errorf("a worker of template %d says %q", tpl.Pid(), got)
	}
}

// Its stack, its descriptors and its log are those of the first template.
func TestManyTemplatesOneAfterTheOther(t *testing.T) {
	var mu sync.Mutex
	heard := map[int]string{}
	tpl := launched(t, &Environment{
		Start: StartFork, Setup: evalCode + `set.seed(5, kind = "L'Ecuyer-CMRG")`, BeforeFork: `cat("before\n"); deep <- sys.nframe()`,
	}, &Options{Output: func(pid int, line string) {
		mu.Lock()
		defer mu.Unlock()
		heard[pid] = line
	}}).(*forker)
	const kills = 12
	streams := map[string]bool{} // one may be lost with each template
	for i := range 2 * kills {
		streams[strings.Trim(fmt.Sprint(SeedAt(5, uint64(i+1))), "[]")] = true
	}
	var frames string
	for i := range kills {
		next, last := standby(t, tpl), tpl.Pid()
		unix.Kill(last, unix.SIGKILL)
		w := started(t, tpl)
		if tpl.Pid() != next {
			t.Fatalf("template %d after %d, the standby was %d", tpl.Pid(), last, next)
		}
		got := printed(t, w, `cat(deep, length(dir("/proc/self/fd")), nrow(showConnections()), compiler::enableJIT(-1)); invisible(gc()); message("heard")`)
		if frames == "" {
			frames = got
		} else if got != frames {
			t.Fatalf("worker %d has frames, descriptors, connections, JIT: %q; the first had %q", i+1, got, frames)
		}
		if s := printed(t, w, `cat(.Random.seed[-1])`); !streams[s] {
			t.Errorf("worker %d has the stream %s, which is another's or none of the seed's", i+1, s)
		} else {
			delete(streams, s)
		}
		eventually(t, "the log of the template", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return heard[next] == "before"
		})
		w.Stop()
	}
	standby(t, tpl)
	eventually(t, "the group has two members, template and standby, and no zombies", func() bool {
		out, _ := exec.Command("pgrep", "-g", strconv.Itoa(tpl.group.pgid)).Output()
		return len(strings.Fields(string(out))) == 2
	})
}

// A fork that the template's death meets is begun again by its standby.
func TestATemplateThatDiesOfAFork(t *testing.T) {
	dir := t.TempDir()
	tpl := launched(t, &Environment{
		Start: StartFork, Setup: evalCode + fmt.Sprintf(`dir <- %q; n <- 0`, dir),
		BeforeFork: `n <- n + 1; if (n == 2 && file.create(f <- file.path(dir, Sys.getpid()))) while (file.exists(f)) Sys.sleep(0.01)`,
	}, nil).(*forker)
	first, second := tpl.Pid(), standby(t, tpl)
	forking := func(pid int) string { return filepath.Join(dir, strconv.Itoa(pid)) }
	type result struct {
		p   process
		err error
	}
	done := make(chan result, 1)
	go func() {
		p, err := tpl.Start(t.Context())
		done <- result{p, err}
	}()
	eventually(t, "the template is about to fork", func() bool { return exists(forking(first)) })
	unix.Kill(first, unix.SIGKILL)
	eventually(t, "the standby forks a standby first, which is the second fork it knows of", func() bool { return exists(forking(second)) })
	os.Remove(forking(second))
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer r.p.Stop()
	if got := printed(t, r.p, `cat(n)`); got != "3" || tpl.Pid() != second {
		t.Errorf("a worker of template %d says %q", tpl.Pid(), got)
	}
}

func TestForksThatKillEveryTemplateEnd(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: `n <- 0`, BeforeFork: `n <- n + 1; if (n > 1) tools::pskill(Sys.getpid(), 9L)`}, nil)
	if p, err := tpl.Start(t.Context()); err == nil {
		p.Stop()
		t.Error("it started")
	}
	<-tpl.Exited()
}

// A template without a standby works, and says so.
func TestATemplateWithoutAStandby(t *testing.T) {
	var log syncBuffer
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode + `n <- 0`, BeforeFork: `n <- n + 1; if (n < 3) stop("not now")`},
		&Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "has no standby") || !strings.Contains(log.String(), "not now") {
		t.Errorf("the log has %q", log.String())
	}
	standby(t, tpl) // in the end
	if got := printed(t, started(t, tpl), `cat("well")`); got != "well" {
		t.Errorf("a worker says %q", got)
	}
	if n := strings.Count(log.String(), "has no standby"); n != 1 {
		t.Errorf("that is said %d times", n)
	}
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestATemplateIsClosedAmidTakeovers(t *testing.T) {
	for range 5 {
		tpl, err := launch(t.Context(), &Environment{Start: StartFork, Setup: evalCode}, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan struct{})
		go func() {
			defer close(started)
			_, _ = tpl.Start(ctx) // whatever comes of it
		}()
		unix.Kill(tpl.Pid(), unix.SIGKILL)
		cancel()
		<-started
		tpl.Close()
		if home := tpl.(*forker).home.dir; exists(home) {
			t.Errorf("%s is left", home)
		}
		if !isClosed(tpl.Exited()) {
			t.Error("a closed template has not ended")
		}
	}
}
