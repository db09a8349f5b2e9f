package rpool

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkersStartWhenSomebodyWaits(t *testing.T) {
	inBubble(t, Options{Max: 3}, &fakeR{StartTime: 50 * time.Millisecond}, func(t *testing.T, w *world) {
		env := environment("a")
		if n := len(w.alive()); n != 0 {
			t.Fatalf("%d workers before the first request", n)
		}
		var leases []*Lease
		for i := 1; i <= 3; i++ {
			leases = append(leases, w.acquire(env, Interactive))
			if n := len(w.alive()); n != i {
				t.Fatalf("%d workers for %d leases", n, i)
			}
		}
		o := w.waiting(w.Context(), env, Interactive)
		after(time.Minute)
		if o.lease() != nil || len(w.alive()) != 3 {
			t.Fatal("the budget was exceeded")
		}
		for _, l := range leases {
			l.Release()
		}
		o.lease().Release()
		for range 10 {
			w.acquire(env, Interactive).Release()
		}
		if n := w.total().Started; n != 3 {
			t.Errorf("%d workers were started; idle ones are to be used first", n)
		}
	})
}

func TestForksOfOneTemplateAreSerial(t *testing.T) {
	f := func(spawn bool, peak int, each time.Duration) {
		t.Helper()
		inBubble(t, Options{Max: 2}, &fakeR{Spawn: spawn, LaunchTime: time.Second, StartTime: time.Second}, func(t *testing.T, w *world) {
			if err := w.p.Warm(w.Context(), environment("a"), 0); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			a := w.waiting(w.Context(), environment("a"), Interactive)
			b := w.waiting(w.Context(), environment("a"), Interactive)
			after(10 * time.Second)
			a.lease().Release()
			b.lease().Release()
			if w.startPeak != peak || b.at.Sub(start) != each {
				t.Errorf("spawn %v: %d starts at a time, the second after %v", spawn, w.startPeak, b.at.Sub(start))
			}
		})
	}
	f(false, 1, 2*time.Second)
	f(true, 2, time.Second)
}

func TestAStartThatNobodyNeedsAnyMoreIsDropped(t *testing.T) {
	inBubble(t, Options{Max: 3}, &fakeR{StartTime: time.Second}, func(t *testing.T, w *world) {
		env := environment("a")
		ctx, cancel := context.WithCancel(w.Context())
		for range 3 {
			w.waiting(ctx, env, Interactive)
		}
		cancel()
		after(time.Minute)
		if w.starts != 1 {
			t.Errorf("%d workers were started for callers who had left; only the first was on its way", w.starts)
		}
		if c := w.total(); c.Starting != 0 || c.Idle != 1 {
			t.Errorf("starting %d, idle %d", c.Starting, c.Idle)
		}
	})
}

func TestIdleWorkersEndAfterIdleTimeout(t *testing.T) {
	inBubble(t, Options{Min: 1, Max: 4, IdleTimeout: time.Minute, CheckInterval: time.Second}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		if err := w.p.Warm(w.Context(), env, 4); err != nil {
			t.Fatal(err)
		}
		after(59 * time.Second)
		if n := len(w.alive()); n != 4 {
			t.Fatalf("%d workers before the timeout", n)
		}
		w.acquire(env, Interactive).Release()
		after(2 * time.Second)
		if n := len(w.alive()); n != 1 {
			t.Fatalf("%d workers after it, want the one in use", n)
		}
		after(time.Hour)
		if n := len(w.alive()); n != 1 {
			t.Errorf("%d workers, want Min", n)
		}
	})
}

func TestMinIsRefilled(t *testing.T) {
	inBubble(t, Options{Min: 2, Max: 4}, &fakeR{}, func(t *testing.T, w *world) {
		w.acquire(environment("a"), Interactive).Release()
		if n := len(w.alive()); n != 2 {
			t.Fatalf("%d workers once the environment is in use, want Min", n)
		}
		w.alive()[0].die(&DiedError{Signal: "SIGKILL"})
		after(time.Second)
		if n := len(w.alive()); n != 2 {
			t.Errorf("%d workers after one died idle", n)
		}
		if n := w.total().Died; n != 1 {
			t.Errorf("%d deaths counted", n)
		}
	})
}

func TestSpareWorkersFollowTheBusyOnes(t *testing.T) {
	inBubble(t, Options{Max: 5, MinSpare: 2, IdleTimeout: time.Minute, CheckInterval: time.Second, TemplateIdle: time.Hour}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		a := w.acquire(env, Interactive)
		if c := w.total(); c.Idle != 2 {
			t.Fatalf("%d spare with 1 busy, want 2", c.Idle)
		}
		b := w.acquire(env, Interactive)
		if c := w.total(); c.Idle != 2 || c.Busy != 2 {
			t.Fatalf("%d spare with %d busy, want 2", c.Idle, c.Busy)
		}
		after(time.Hour) // long requests: the environment is in use all the same
		if c := w.total(); c.Idle != 2 {
			t.Fatalf("%d spare after an hour, want 2", c.Idle)
		}
		x := w.acquire(env, Interactive)
		y := w.acquire(env, Interactive)
		if c := w.total(); c.Up != 5 {
			t.Fatalf("%d up, want Max", c.Up)
		}
		for _, l := range []*Lease{a, b, x, y} {
			l.Release()
		}
		after(10 * time.Minute)
		if n := len(w.alive()); n != 0 {
			t.Errorf("%d spare for an environment that nobody uses", n)
		}
	})
}

func TestIdleWorkersOfAnotherEnvironmentMakeRoom(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{StopTime: time.Second}, func(t *testing.T, w *world) {
		a, b := environment("a"), environment("b")
		w.p.Warm(w.Context(), a, 2)
		start := time.Now()
		l := w.acquire(b, Interactive)
		if d := time.Since(start); d != time.Second {
			t.Errorf("the slot was free after %v, want the time to stop one worker", d)
		}
		s := w.p.Stats()
		if s.Environments[0].Up != 1 || s.Environments[1].Up != 1 || w.upPeak != 2 {
			t.Errorf("up %d and %d, peak %d", s.Environments[0].Up, s.Environments[1].Up, w.upPeak)
		}
		l.Release()
	})
}

func TestOneWaiterEndsOneWorkerOnly(t *testing.T) {
	inBubble(t, Options{Max: 4}, &fakeR{StopTime: time.Second}, func(t *testing.T, w *world) {
		a, b := environment("a"), environment("b")
		w.p.Warm(w.Context(), a, 4)
		o := w.waiting(w.Context(), b, Interactive)
		for range 5 { // each of these calls the scheduler again
			w.acquire(a, Interactive).Release()
		}
		after(time.Minute)
		o.lease().Release()
		if n := w.total().Retired; n != 1 {
			t.Errorf("%d workers were ended for one waiter", n)
		}
	})
}

// Environment a has always somebody waiting, so none of its workers ever runs
// idle; b must get one nevertheless.
func TestNoEnvironmentStarves(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{}, func(t *testing.T, w *world) {
		a, b := environment("a"), environment("b")
		ctx, cancel := context.WithCancel(w.Context())
		for range 6 {
			go func() {
				for {
					if _, err := w.p.Do(ctx, a, Bulk, &Request{Kind: Call, Fun: "sleep", Timeout: 100 * time.Millisecond}); err != nil {
						return
					}
				}
			}()
		}
		after(5 * time.Second)
		start := time.Now()
		patience, done := context.WithTimeout(w.Context(), time.Minute)
		defer done()
		if _, err := w.p.Do(patience, b, Bulk, &Request{Kind: Call}); err != nil {
			cancel()
			t.Fatal(err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("b waited %v", d)
		}
		forks := w.total().Started
		after(10 * time.Second)
		if n := w.total().Started - forks; n > 2 {
			t.Errorf("%d workers were started afterwards; the slot should just have gone back", n)
		}
		cancel()
	})
}

func TestTwoBusyEnvironmentsTakeTurns(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		done := map[string]int{}
		ctx, cancel := context.WithCancel(w.Context())
		counts := make(chan string, 10_000)
		for i := range 8 {
			name := []string{"a", "b"}[i%2]
			env := environment(name)
			go func() {
				for {
					if _, err := w.p.Do(ctx, env, Bulk, &Request{Kind: Call, Fun: "sleep", Timeout: 10 * time.Millisecond}); err != nil {
						return
					}
					counts <- name
				}
			}()
		}
		after(20 * time.Second)
		cancel()
		synctest.Wait()
		close(counts)
		for name := range counts {
			done[name]++
		}
		if a, b := done["a"], done["b"]; a < 700 || b < 700 {
			t.Errorf("requests done: %v, want about 1000 each", done)
		}
		if n := w.total().Started; n > 22 {
			t.Errorf("%d forks in 20 s: the environments thrash", n)
		}
	})
}

func TestInteractiveOfAnotherEnvironmentGoesBeforeBulkAtOnce(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		a, b := environment("a"), environment("b")
		held := w.acquire(a, Bulk)
		bulk := w.waiting(w.Context(), a, Bulk)
		quick := w.waiting(w.Context(), b, Interactive)
		held.Release()
		l := quick.lease()
		if l == nil {
			t.Fatal("bulk went first")
		}
		l.Release()
		bulk.lease().Release()
	})
}

func TestTemplatesEndWhenIdle(t *testing.T) {
	o := Options{Max: 2, IdleTimeout: time.Minute, TemplateIdle: 10 * time.Minute, CheckInterval: time.Second}
	inBubble(t, o, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		w.acquire(env, Interactive).Release()
		after(9 * time.Minute)
		if s := w.p.Stats(); len(s.Environments) != 1 || s.Environments[0].Template == 0 || s.Total.Up != 0 {
			t.Fatalf("after 9 minutes: %+v", s)
		}
		after(3 * time.Minute)
		if s := w.p.Stats(); len(s.Environments) != 0 || s.Total.Started != 1 || !w.templates[0].closed {
			t.Fatalf("after 12 minutes: %+v", s)
		}
		w.acquire(env, Interactive).Release()
		if w.launches != 2 {
			t.Errorf("%d launches, want a second one", w.launches)
		}
	})
}

func TestMaxTotalMemory(t *testing.T) {
	o := Options{Max: 8, MaxTotalMemory: 350}
	inBubble(t, o, &fakeR{RSS: 100}, func(t *testing.T, w *world) {
		a, b := environment("a"), environment("b")
		var held []*Lease
		for range 3 {
			held = append(held, w.acquire(a, Interactive))
		}
		fourth := w.waiting(w.Context(), a, Interactive)
		if fourth.lease() != nil {
			t.Fatal("a fourth worker of 100 was started within 350")
		}
		held[0].Release()
		held[0] = fourth.lease()
		if held[0] == nil {
			t.Fatal("a free worker was not passed on")
		}
		for _, l := range held {
			l.Release()
		}
		w.acquire(b, Interactive).Release() // of unknown size: counted when it is up
		alive := w.alive()
		alive[len(alive)-1].setRSS(400)
		after(2 * time.Second)
		if c := w.total(); c.Up != 1 {
			t.Errorf("%d workers are up with one of 400; idle ones are to end", c.Up)
		}
		w.acquire(a, Interactive).Release()
		w.acquire(b, Interactive).Release()
	})
}

func TestEnvironmentsAreToldApartByContentNotByPointer(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{}, func(t *testing.T, w *world) {
		for i := range 3 * maxPointers {
			w.acquire(environment(fmt.Sprint("a", i%2)), Interactive).Release()
		}
		if w.launches != 2 {
			t.Errorf("%d launches for 2 environments", w.launches)
		}
		if n := len(w.p.byEnv); n > 2*maxPointers {
			t.Errorf("%d pointers remembered", n)
		}
	})
}
