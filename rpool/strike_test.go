//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// loop is a server's: it traps interrupts, counts them in a file of its own, and
// ends when it is told to.
func loop(dir string) *Request {
	r := run(fmt.Sprintf(`local({
		n <- 0
		suspendInterrupts(repeat {
			tryCatch(
				allowInterrupts({ file.create("%[1]s/ready"); Sys.sleep(60) }),
				interrupt = function(i) { n <<- n + 1; file.create(file.path("%[1]s", n)) }
			)
			if (file.exists("%[1]s/ending")) break
		})
		n
	})`, dir))
	r.Ending = filepath.Join(dir, "ending")
	return r
}

// appears waits for a file that R makes.
func appears(t testing.TB, path string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s does not appear", path)
		}
	}
}

func TestALoopLivesThroughInterruptsAndEndsInGoodOrder(t *testing.T) {
	t.Parallel()
	env := realEnvironment()
	p := realPool(t, Options{Max: 1})
	l, err := p.Acquire(t.Context(), env, Interactive)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if l.Interrupt() {
		t.Error("an idle worker was interrupted")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() {
		_, err := l.Do(ctx, loop(dir))
		done <- err
	}()
	for i := range 5 {
		ready := filepath.Join(dir, "ready")
		appears(t, ready)
		os.Remove(ready)
		if !l.Interrupt() {
			t.Fatal("a running request was not interrupted")
		}
		appears(t, filepath.Join(dir, fmt.Sprint(i+1)))
	}
	cancel(errGivenUp)
	if err := <-done; err != nil {
		t.Errorf("the loop ended with %v, want its value", err)
	}
	if _, err := l.Do(t.Context(), run("1")); err != nil {
		t.Errorf("the request after the loop: %v", err)
	}
	pid := l.Pid()
	l.Release()
	if l.Interrupt() {
		t.Error("a released lease interrupts somebody else's worker")
	}
	if reply := mustDo(t, p, env, run("1")); reply.Pid != pid {
		t.Error("the worker was replaced")
	}
}

func TestClosingThePoolEndsALoopInGoodOrder(t *testing.T) {
	t.Parallel()
	p := realPool(t, Options{Max: 1})
	l, err := p.Acquire(t.Context(), realEnvironment(), Interactive)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() {
		_, err := l.Do(t.Context(), loop(dir))
		done <- err
	}()
	appears(t, filepath.Join(dir, "ready"))
	start := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("it took %v: the loop had to be killed", d)
	}
	<-done
	if _, err := os.Stat(filepath.Join(dir, "ending")); err != nil {
		t.Error("the loop was not told that it ends")
	}
}

// Interrupts of leases come while requests begin, run and end; the request
// behind each must get the right answer.
func TestInterruptsOfALeaseHitNoInnocentRequest(t *testing.T) {
	t.Parallel()
	p := realPool(t, Options{Max: 1})
	l, err := p.Acquire(t.Context(), realEnvironment(), Interactive)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	var struck int
	for i := range interrupts {
		done := make(chan error, 1)
		go func() {
			_, err := l.Do(t.Context(), run(`{Sys.sleep(0.0005); 1}`))
			done <- err
		}()
		due := time.NewTimer(time.Duration(i%40) * 50 * time.Microsecond)
		<-due.C
		if l.Interrupt() {
			struck++
		}
		var c *ConditionError
		if err := <-done; err != nil && (!errors.As(err, &c) || !slices.Contains(c.Classes, "interrupt")) {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := l.Do(t.Context(), numbered(`%d`, i)); err != nil {
			t.Fatalf("request after interrupt %d: %v", i, err)
		}
	}
	t.Logf("%d of %d requests were interrupted", struck, interrupts)
	if struck == 0 {
		t.Error("no request was interrupted")
	}
}
