//go:build unix

package rpool

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/rdata"
)

// These run the whole of the pool on real R; what depends on time is tested on
// a fake clock elsewhere.

func realPool(t testing.TB, o Options) *Pool {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func realEnvironment(setup ...string) *Environment {
	return &Environment{
		Setup: evalCode + strings.Join(setup, "\n"),
		Env:   []string{"R_PROFILE_USER=/dev/null", "R_ENVIRON_USER=/dev/null"},
	}
}

func mustDo(t testing.TB, p *Pool, env *Environment, r *Request) *Reply {
	t.Helper()
	reply, err := p.Do(t.Context(), env, Interactive, r)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// processGone reports whether a process is gone.
func processGone(pid int) bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

func TestPoolOfR(t *testing.T) {
	env := realEnvironment("double <- function(df) { df$x <- df$x * 2; df }")
	p := realPool(t, Options{Max: 2})
	if err := p.Warm(t.Context(), env, 2); err != nil {
		t.Fatal(err)
	}
	data := item(t, dataFrame("x", 1, 2, 3))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				reply, err := p.Do(t.Context(), env, Bulk, &Request{Kind: Map, Fun: "double", Data: data})
				if err != nil {
					t.Error(err)
					return
				}
				v, err := rdata.UnmarshalItem(reply.Data, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if x := v.(*rdata.List).Values[0].(*rdata.Double).Values; x[0] != 2 || x[2] != 6 {
					t.Errorf("got %v", x)
				}
			}
		})
	}
	wg.Wait()
	s := p.Stats()
	if s.Total.Requests != 200 || s.Total.Started != 2 || s.Total.RSS == 0 || s.Environments[0].Template == 0 {
		t.Errorf("stats: %+v", s)
	}
	var condition *ConditionError
	if _, err := p.Do(t.Context(), env, Bulk, run("stop('no such flight')")); !errors.As(err, &condition) {
		t.Errorf("got %v, want a *ConditionError", err)
	}
	pid := mustDo(t, p, env, run("1")).Pid
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{pid, s.Environments[0].Template} {
		if !processGone(pid) {
			t.Errorf("process %d outlives the pool", pid)
		}
	}
}

func TestPoolReplacesAWorkerThatDied(t *testing.T) {
	env := realEnvironment()
	p := realPool(t, Options{Max: 1})
	first := mustDo(t, p, env, run("1")).Pid
	var died *DiedError
	if _, err := p.Do(t.Context(), env, Interactive, run("quit(status = 7L)")); !errors.As(err, &died) || died.ExitStatus != 7 {
		t.Fatalf("got %v, want exit status 7", err)
	}
	second := mustDo(t, p, env, run("1")).Pid
	if second == first {
		t.Error("the same process answers after it died")
	}
	if _, err := p.Do(t.Context(), env, Interactive, run("tools::pskill(Sys.getpid(), 9L); Sys.sleep(60)")); !errors.As(err, &died) || died.Signal != "SIGKILL" {
		t.Fatalf("got %v, want SIGKILL", err)
	}
	mustDo(t, p, env, run("1"))
	if n := p.Stats().Total.Died; n != 2 {
		t.Errorf("%d deaths counted", n)
	}
}

func TestTimeoutAndCancelKeepTheWorkerAndItsState(t *testing.T) {
	env := realEnvironment()
	p := realPool(t, Options{Max: 1})
	first := mustDo(t, p, env, run("kept <- 42")).Pid
	slow := run("repeat {}")
	slow.Timeout = 50 * time.Millisecond
	var timeout *TimeoutError
	if _, err := p.Do(t.Context(), env, Interactive, slow); !errors.As(err, &timeout) || timeout.Step != "SIGINT" {
		t.Fatalf("got %v, want a *TimeoutError by SIGINT", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Do(ctx, env, Interactive, run("repeat {}")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the context's cause", err)
	}
	reply := mustDo(t, p, env, run("kept"))
	if reply.Pid != first {
		t.Error("the worker was replaced")
	}
}

func TestIsolatedDeathKeepsTheWorker(t *testing.T) {
	env := realEnvironment()
	p := realPool(t, Options{Max: 1})
	first := mustDo(t, p, env, run("1")).Pid
	r := run("quit(status = 3L)")
	r.Isolate = true
	var died *DiedError
	if _, err := p.Do(t.Context(), env, Interactive, r); !errors.As(err, &died) {
		t.Fatalf("got %v, want a *DiedError", err)
	}
	if got := mustDo(t, p, env, run("1")).Pid; got != first {
		t.Error("the worker was replaced for the death of an isolated request")
	}
}

func TestMaxMemoryStopsABusyR(t *testing.T) {
	env := realEnvironment()
	p := realPool(t, Options{Max: 1, MaxMemory: 300 << 20, CheckInterval: 50 * time.Millisecond})
	first := mustDo(t, p, env, run("1")).Pid
	_, err := p.Do(t.Context(), env, Interactive, run("x <- numeric(0); repeat { x <- c(x, runif(1e6)); Sys.sleep(0.01) }"))
	var died *DiedError
	if !errors.As(err, &died) || !died.OutOfMemory || died.Pid != first || died.RSS < 300<<20 {
		t.Fatalf("got %v, want out of memory", err)
	}
	if got := mustDo(t, p, env, run("1")).Pid; got == first {
		t.Error("the worker was kept")
	}
}

func TestCloseStopsABusyR(t *testing.T) {
	env := realEnvironment()
	p := realPool(t, Options{Max: 1})
	mustDo(t, p, env, run("1"))
	result := make(chan error, 1)
	mark := t.TempDir() + "/begun"
	go func() {
		_, err := p.Do(t.Context(), env, Interactive, call("eval_code", text("file.create('"+mark+"'); repeat {}")))
		result <- err
	}()
	for { // until R is at it
		if _, err := os.Stat(mark); err == nil {
			break
		}
		select {
		case err := <-result:
			t.Fatalf("ended before Close: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	start := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if d := time.Since(start); d > 4*time.Second { // Grace is 5 s: SIGINT was enough
		t.Errorf("closing took %v", d)
	}
}

func TestEnvironmentsShareTheBudget(t *testing.T) {
	a, b := realEnvironment("who <- 'a'"), realEnvironment("who <- 'b'")
	p := realPool(t, Options{Max: 1})
	for range 2 {
		for want, env := range map[string]*Environment{"a": a, "b": b} {
			v := value(t, mustDo(t, p, env, run("who"))).(*rdata.Character)
			if string(v.Data) != want {
				t.Errorf("environment %s answers %s", want, v.Data)
			}
		}
	}
	s := p.Stats()
	if s.Total.Up != 1 || len(s.Environments) != 2 || s.Total.Launches != 2 {
		t.Errorf("stats: %+v", s)
	}
}

func TestWarmTellsWhatIsWrong(t *testing.T) {
	p := realPool(t, Options{Max: 1})
	var failed *StartError
	err := p.Warm(t.Context(), &Environment{Packages: []string{"nosuchpackage"}}, 1)
	if !errors.As(err, &failed) || failed.Step != "package" || failed.What != "nosuchpackage" {
		t.Errorf("got %v", err)
	}
	err = p.Warm(t.Context(), realEnvironment("stop('model is missing')"), 1)
	if !errors.As(err, &failed) || failed.Step != "setup" || !strings.Contains(err.Error(), "model is missing") {
		t.Errorf("got %v", err)
	}
}

func TestSpawnedWorkersServeToo(t *testing.T) {
	env := realEnvironment()
	env.Start = StartSpawn
	p := realPool(t, Options{Max: 2})
	if err := p.Warm(t.Context(), env, 2); err != nil {
		t.Fatal(err)
	}
	mustDo(t, p, env, run("1"))
	if e := p.Stats().Environments[0]; e.Forks || e.WhySpawn == "" || e.Up != 2 {
		t.Errorf("stats: %+v", e)
	}
}

func TestBulkRunsNicedInR(t *testing.T) {
	if !mayRaise() {
		t.Skip("this process may not raise a priority again, so the pool leaves them alone")
	}
	env := realEnvironment()
	p := realPool(t, Options{Max: 1})
	for _, c := range []struct {
		pri  Priority
		nice string
	}{{Bulk, "10"}, {Interactive, "0"}, {Bulk, "19"}, {Interactive, "0"}} {
		reply, err := p.Do(t.Context(), env, c.pri, run("trimws(system2('ps', c('-o', 'ni=', '-p', Sys.getpid()), stdout = TRUE))"))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(value(t, reply).(*rdata.Character).Data); got != c.nice {
			t.Errorf("priority %d runs at nice %s, want %s", c.pri, got, c.nice)
		}
	}
}

// BenchmarkRoundTrips is one-row map calls through the whole of the pool: lease,
// wire, R and back.
func BenchmarkRoundTrips(b *testing.B) {
	env := realEnvironment("same <- function(df) df")
	p := realPool(b, Options{Max: 2})
	if err := p.Warm(b.Context(), env, 2); err != nil {
		b.Fatal(err)
	}
	data := item(b, dataFrame("x", 1))
	b.SetParallelism(2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Do(b.Context(), env, Interactive, &Request{Kind: Map, Fun: "same", Data: data}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
