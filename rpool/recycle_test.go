package rpool

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func TestMaxRequestsIsExact(t *testing.T) {
	inBubble(t, Options{Max: 2, MaxRequests: 3}, &fakeR{StartTime: 20 * time.Millisecond}, func(t *testing.T, w *world) {
		env := environment("a")
		for range 30 {
			if _, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range w.procs {
			if len(p.served) > 3 {
				t.Errorf("a worker served %d requests", len(p.served))
			}
		}
		if n := w.total().Recycled; n < 9 {
			t.Errorf("%d recycled after 30 requests at 3 each", n)
		}
	})
}

// While the last request of a worker runs, its replacement comes up, so that the
// next caller does not wait for a fork.
func TestReplacementComesFirst(t *testing.T) {
	inBubble(t, Options{Max: 1, MaxRequests: 1}, &fakeR{StartTime: time.Second}, func(t *testing.T, w *world) {
		env := environment("a")
		if err := w.p.Warm(w.Context(), env, 1); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			start := time.Now()
			w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "sleep", Timeout: 2 * time.Second})
			if d := time.Since(start); d != 2*time.Second {
				t.Errorf("a request of 2s took %v", d)
			}
		}
		if w.upPeak != 2 {
			t.Errorf("%d processes at once, want Max and one replacement", w.upPeak)
		}
	})
}

func TestReplacementDoesNotWidenTheBudgetOfLeases(t *testing.T) {
	inBubble(t, Options{Max: 1, MaxRequests: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		o := w.waiting(w.Context(), env, Interactive)
		if n := len(w.alive()); n != 2 {
			t.Fatalf("%d processes, want the replacement beside its elder", n)
		}
		if o.lease() != nil {
			t.Fatal("two leases with Max 1")
		}
		held.Do(w.Context(), &Request{Kind: Call})
		held.Release()
		l := o.lease()
		if l == nil {
			t.Fatal("the replacement was not leased")
		}
		if l.Pid() == held.Pid() {
			t.Error("the old worker served again")
		}
		l.Release()
	})
}

func TestMaxLifetime(t *testing.T) {
	o := Options{Min: 3, Max: 3, MaxLifetime: time.Minute, CheckInterval: time.Second}
	inBubble(t, o, &fakeR{StartTime: 100 * time.Millisecond, StopTime: 100 * time.Millisecond}, func(t *testing.T, w *world) {
		env := environment("a")
		w.acquire(env, Interactive).Release()
		after(10 * time.Second)
		old := w.alive()
		lowest := len(old)
		for range 100 {
			after(time.Second)
			lowest = min(lowest, w.total().Up)
		}
		for _, p := range old {
			if p.Death() == nil {
				t.Error("a worker outlived MaxLifetime")
			}
		}
		if lowest != 3 || w.upPeak > 4 {
			t.Errorf("between %d and %d workers while all three were replaced, want 3 to 4", lowest, w.upPeak)
		}
	})
}

func TestIdleTimeoutCountsOverReplacements(t *testing.T) {
	o := Options{Max: 2, MaxLifetime: 10 * time.Second, IdleTimeout: time.Minute, CheckInterval: time.Second}
	inBubble(t, o, &fakeR{}, func(t *testing.T, w *world) {
		w.acquire(environment("a"), Interactive).Release()
		after(2 * time.Minute)
		if n := len(w.alive()); n != 0 {
			t.Errorf("%d workers; replacing one made it young for ever", n)
		}
	})
}

func TestIdleWorkerOverMaxMemoryIsReplaced(t *testing.T) {
	inBubble(t, Options{Max: 1, MaxMemory: 100}, &fakeR{RSS: 50}, func(t *testing.T, w *world) {
		env := environment("a")
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call})
		w.procs[0].setRSS(200)
		after(2 * time.Second)
		alive := w.alive()
		if len(alive) != 1 || alive[0] == w.procs[0] {
			t.Error("it was not replaced")
		}
		if c := w.total(); c.Recycled != 1 || c.Died != 0 || c.RSS != 50 {
			t.Errorf("recycled %d, died %d, RSS %d", c.Recycled, c.Died, c.RSS)
		}
	})
}

func TestBusyWorkerOverMaxMemoryIsStopped(t *testing.T) {
	f := func(stuck time.Duration, kills int) {
		t.Helper()
		inBubble(t, Options{Max: 1, MaxMemory: 100}, &fakeR{RSS: 50}, func(t *testing.T, w *world) {
			env := environment("a")
			w.acquire(env, Interactive).Release()
			w.procs[0].stuck = stuck
			time.AfterFunc(5*time.Second, func() { w.procs[0].setRSS(200) })
			_, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "block"})
			var died *DiedError
			if !errors.As(err, &died) || !died.OutOfMemory || died.RSS != 200 || died.Pid != w.procs[0].pid {
				t.Fatalf("stuck %v: got %#v", stuck, err)
			}
			if _, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call}); err != nil {
				t.Fatal(err)
			}
			if alive := w.alive(); len(alive) != 1 || alive[0] == w.procs[0] {
				t.Error("it was not replaced")
			}
			if c := w.total(); c.OutOfMemory != 1 {
				t.Errorf("counted %d times", c.OutOfMemory)
			}
			if w.kills != kills {
				t.Errorf("stuck %v: killed %d times, want %d", stuck, w.kills, kills)
			}
		})
	}
	f(0, 0)
	f(10*time.Millisecond, 0)
	f(time.Minute, 1) // not left to the ladder
}

func TestEnvironmentLargerThanMaxMemoryDoesNotForkForEver(t *testing.T) {
	inBubble(t, Options{Max: 1, MaxMemory: 100}, &fakeR{RSS: 150}, func(t *testing.T, w *world) {
		w.acquire(environment("a"), Interactive).Release()
		after(time.Minute)
		if w.starts != 1 {
			t.Errorf("%d workers were started", w.starts)
		}
	})
}

func TestRequestErrorsKeepTheWorker(t *testing.T) {
	f := func(r *Request, keep bool) {
		t.Helper()
		inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
			ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
			defer cancel()
			if _, err := w.p.Do(ctx, environment("a"), Interactive, r); err == nil {
				t.Errorf("%s: no error", r.Fun)
			}
			w.acquire(environment("a"), Interactive).Release()
			if kept := w.total().Started == 1; kept != keep {
				t.Errorf("%s: worker kept: %v", r.Fun, kept)
			}
		})
	}
	f(&Request{Kind: Call, Fun: "error"}, true)
	f(&Request{Kind: Call, Fun: "timeout", Timeout: time.Second}, true)
	f(&Request{Kind: Call, Fun: "block"}, true) // cancelled
	f(&Request{Kind: Call, Fun: "die"}, false)
	f(&Request{Kind: Call, Fun: "odd"}, false)
}

func TestPanicInARequestDiscardsTheWorker(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			w.p.Do(w.Context(), environment("a"), Interactive, &Request{Kind: Call, Fun: "panic"})
		}()
		if _, err := w.p.Do(w.Context(), environment("a"), Interactive, &Request{Kind: Call}); err != nil {
			t.Fatal(err)
		}
		if n := w.total().Started; n != 2 {
			t.Errorf("%d workers started, want a fresh one after the panic", n)
		}
	})
}

func TestDeathUnderALease(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		l := w.acquire(env, Interactive)
		w.procs[0].die(&DiedError{Pid: w.procs[0].pid, Signal: "SIGKILL"})
		after(time.Second)
		var died *DiedError
		if _, err := l.Do(w.Context(), &Request{Kind: Call}); !errors.As(err, &died) || died.Signal != "SIGKILL" {
			t.Errorf("got %v, want how it died", err)
		}
		// The dead worker's place is free although its lease is not back.
		other := w.acquire(env, Interactive)
		l.Release()
		l.Release()
		other.Release()
		if c := w.total(); c.Died != 1 || c.Busy != 0 || c.Up != 1 {
			t.Errorf("died %d, busy %d, up %d", c.Died, c.Busy, c.Up)
		}
	})
}

func TestACrashLoopDoesNotSpin(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		start, n := time.Now(), 0
		for time.Since(start) < 10*time.Minute && n < 1000 {
			var died *DiedError
			if _, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "die"}); !errors.As(err, &died) {
				t.Fatal(err)
			}
			n++
		}
		// Full jitter under a limit of 5 s waits 2.5 s on average: 240 in 10 minutes.
		if n > 600 {
			t.Errorf("%d crashes in 10 minutes", n)
		}
		if n < 60 {
			t.Errorf("%d tries in 10 minutes: it should not give up", n)
		}
		// One success, and the next crash is the first again.
		if _, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call}); err != nil {
			t.Fatal(err)
		}
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "die"})
		start = time.Now()
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call})
		if d := time.Since(start); d > crashBackoff {
			t.Errorf("replaced after %v; a success should reset the back-off", d)
		}
	})
}

func TestIdleCrashLoopDoesNotSpinEither(t *testing.T) {
	inBubble(t, Options{Min: 1, Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		w.acquire(environment("a"), Interactive).Release()
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			for _, p := range w.alive() {
				p.die(&DiedError{ExitStatus: 1})
			}
			after(10 * time.Millisecond)
		}
		if w.starts > 600 {
			t.Errorf("%d starts in 10 minutes", w.starts)
		}
	})
}

func TestStoppingByTimeoutIsNoCrash(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		w.acquire(env, Interactive).Release()
		w.procs[0].stuck = time.Second
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if _, err := w.p.Do(ctx, env, Interactive, &Request{Kind: Call, Fun: "block"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		start := time.Now()
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call})
		if d := time.Since(start); d != 0 {
			t.Errorf("the next worker came after %v", d)
		}
	})
}

// Workers that were forked together do not all go at the same time.
func TestWorkersAreRecycledAtDifferentTimes(t *testing.T) {
	inBubble(t, Options{Max: 20, MaxLifetime: 100 * time.Second, MaxRequests: 100, CheckInterval: time.Second, IdleTimeout: time.Hour}, &fakeR{}, func(t *testing.T, w *world) {
		rng := rand.New(rand.NewPCG(1, 1))
		w.p.vary = func() float64 { return 0.2*rng.Float64() - 0.1 }
		w.p.Warm(w.Context(), environment("a"), 20)
		after(89 * time.Second)
		if n := w.total().Recycled; n != 0 {
			t.Errorf("%d were replaced before nine tenths of their time", n)
		}
		most, before := int64(0), int64(0)
		for range 22 {
			after(time.Second)
			n := w.total().Recycled
			most, before = max(most, n-before), n
		}
		if before < 20 || most > 6 {
			t.Errorf("%d were replaced, %d at once", before, most)
		}
		w.p.mu.Lock()
		defer w.p.mu.Unlock()
		few, many := 200, 0
		for _, m := range w.p.order[0].members {
			few, many = min(few, m.maxRequests), max(many, m.maxRequests)
		}
		if few < 90 || many > 110 || few == many {
			t.Errorf("they serve %d to %d requests", few, many)
		}
	})
}
