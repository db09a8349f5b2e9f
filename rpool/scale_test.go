package rpool

import (
	"context"
	"errors"
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

// use has a leased worker do something.
func use(t *testing.T, l *Lease) {
	t.Helper()
	if _, err := l.Do(t.Context(), &Request{Kind: Call}); err != nil {
		t.Fatal(err)
	}
}

// A worker that has just answered a request does not go for bulk of another
// environment: it would be forked again for the next request.
func TestBulkDoesNotEndWorkersThatHaveJustAnswered(t *testing.T) {
	inBubble(t, Options{Max: 3, Reserve: 1}, &fakeR{StartTime: 100 * time.Millisecond}, func(t *testing.T, w *world) {
		api, etl := environment("api"), environment("etl")
		bulk := w.acquire(etl, Bulk)
		one, two := w.acquire(api, Interactive), w.acquire(api, Interactive)
		use(t, one)
		use(t, two)
		waiting := w.waiting(w.Context(), etl, Bulk)
		two.Release()
		one.Release()
		after(turn / 2)
		if waiting.lease() != nil {
			t.Fatal("it ended a worker of the API, whose next request would have to wait for another")
		}
		started := w.total().Started
		one = w.acquire(api, Interactive)
		use(t, one)
		one.Release()
		if n := w.total().Started; n != started {
			t.Errorf("%d workers were started for a request that one had been up for", n-started)
		}
		after(3 * turn)
		l := waiting.lease()
		if l == nil {
			t.Fatal("it may have one of two that nobody has asked for a while")
		}
		l.Release()
		bulk.Release()
	})
}

// Where requests never leave a pause, bulk has its worker after a while all the same.
func TestBulkDoesNotStarveBesideAnEnvironmentThatIsNeverIdleForLong(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		api, etl := environment("api"), environment("etl")
		l := w.acquire(api, Interactive)
		waiting := w.waiting(w.Context(), etl, Bulk)
		var got *Lease
		for d := time.Duration(0); got == nil && d < 2*patience; d += turn / 2 {
			use(t, l)
			l.Release()
			after(turn / 2)
			if got = waiting.lease(); got == nil {
				l = w.acquire(api, Interactive)
			}
		}
		if got == nil {
			t.Fatal("bulk has waited in vain")
		}
		got.Release()
	})
}

// An API keeps its minimum, whatever a pipeline on the same pool wants.
func TestAnEnvironmentKeepsItsOwnMinimum(t *testing.T) {
	inBubble(t, Options{Max: 3, Reserve: 1}, &fakeR{StartTime: 50 * time.Millisecond}, func(t *testing.T, w *world) {
		api := &Environment{Packages: []string{"api"}, Min: 2}
		etl := environment("etl")
		if err := w.p.Warm(w.Context(), api, 2); err != nil {
			t.Fatal(err)
		}
		for range 4 { // three more than there is room for
			go w.p.Do(w.Context(), etl, Bulk, &Request{Kind: Call, Fun: "sleep", Timeout: time.Minute})
		}
		for range 100 {
			start := time.Now()
			w.p.Do(w.Context(), api, Interactive, &Request{Kind: Call})
			if d := time.Since(start); d > 0 {
				t.Fatalf("a request waited %v", d)
			}
			after(2 * time.Second)
		}
		for _, e := range w.p.Stats().Environments {
			if e.Packages[0] == "api" && e.Started != 2 {
				t.Errorf("%d workers of the API were started, want its 2", e.Started)
			}
		}
	})
}

// The minimum of all environments together may be more than there is room for.
func TestMinimumsThatDoNotFitStarveNobody(t *testing.T) {
	inBubble(t, Options{Max: 2, Min: 2}, &fakeR{}, func(t *testing.T, w *world) {
		for _, name := range []string{"a", "b", "c", "a", "b"} {
			ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
			if _, err := w.p.Do(ctx, environment(name), Interactive, &Request{Kind: Call}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
		}
	})
}

// rpipe proxy --n-min 1 --n-max 5 --check-unused 10 --max-age 300, as in valve.
func TestValvesFlags(t *testing.T) {
	o := Options{Min: 1, Max: 5, CheckInterval: 10 * time.Second, IdleTimeout: 300 * time.Second}
	inBubble(t, o, &fakeR{StartTime: 50 * time.Millisecond}, func(t *testing.T, w *world) {
		env := environment("a")
		if err := w.p.Warm(w.Context(), env, o.Min); err != nil {
			t.Fatal(err)
		}
		up := func(want int, when string) {
			t.Helper()
			if n := w.total().Up; n != want {
				t.Errorf("%d workers %s, want %d", n, when, want)
			}
		}
		up(1, "at the start")
		var leases []*Lease
		for range 5 {
			leases = append(leases, w.acquire(env, Interactive))
		}
		up(5, "when five requests run at once")
		for _, l := range leases {
			l.Release()
		}
		after(295 * time.Second)
		up(5, "before they are 300 seconds old")
		after(16 * time.Second)
		up(1, "when all have been idle for 300 seconds")
		after(time.Hour)
		up(1, "after an hour without a request")
		w.alive()[0].die(&DiedError{Signal: "SIGKILL"})
		after(crashBackoffMax)
		up(1, "after the last one was killed")
		if w.upPeak != 5 {
			t.Errorf("%d workers at once", w.upPeak)
		}
	})
}

// Nobody waits at a screen until a broken environment is tried again.
func TestRequestsOfABrokenEnvironmentAreToldAtOnce(t *testing.T) {
	broken := &StartError{Step: "source", What: "plumber.R", Err: errors.New("syntax error"), Stderr: "Error in parse()"}
	inBubble(t, Options{Max: 2}, &fakeR{LaunchErr: func(int) error { return broken }}, func(t *testing.T, w *world) {
		env := environment("a")
		for range 200 {
			start := time.Now()
			_, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call})
			var s *StartError
			if !errors.As(err, &s) || s.Stderr != broken.Stderr {
				t.Fatalf("got %v", err)
			}
			if d := time.Since(start); d > hopeless {
				t.Errorf("it was told after %v", d)
			}
			after(100 * time.Millisecond)
		}
		if n := w.total().LaunchFailures; n > 12 {
			t.Errorf("%d launches in 20 seconds", n)
		}
	})
}

// A request that kills its worker costs that worker, and no storm of new ones.
func TestWorkersThatDieAtEachRequestAreReplacedWithoutAStorm(t *testing.T) {
	inBubble(t, Options{Min: 1, Max: 4}, &fakeR{StartTime: 20 * time.Millisecond}, func(t *testing.T, w *world) {
		env := environment("a")
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		for range 8 {
			go func() {
				for ctx.Err() == nil {
					w.p.Do(ctx, env, Interactive, &Request{Kind: Call, Fun: "die"})
				}
			}()
		}
		<-ctx.Done()
		if c := w.total(); c.Started > 150 || c.Died < 5 {
			t.Errorf("%d started, %d died in a minute", c.Started, c.Died)
		}
		after(crashBackoffMax)
		start := time.Now()
		if _, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call}); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 0 {
			t.Errorf("a request that does no harm waited %v", d)
		}
	})
}
