package rpool

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What an API needs of a pool that it may share with pipelines.

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
