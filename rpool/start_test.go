package rpool

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestConcurrentFirstUsersShareOneLaunch(t *testing.T) {
	inBubble(t, Options{Max: 4}, &fakeR{LaunchTime: 2 * time.Second}, func(t *testing.T, w *world) {
		var all []*outcome
		for range 4 {
			all = append(all, w.waiting(w.Context(), environment("a"), Interactive))
		}
		after(10 * time.Second)
		for _, o := range all {
			o.lease().Release()
		}
		if w.launches != 1 {
			t.Errorf("%d launches", w.launches)
		}
	})
}

func TestALaunchErrorReachesAllWhoWait(t *testing.T) {
	broken := &StartError{Step: "package", What: "nosuch", Err: errors.New("not installed")}
	r := &fakeR{LaunchTime: time.Second, LaunchErr: func(n int) error {
		if n <= 2 {
			return broken
		}
		return nil
	}}
	inBubble(t, Options{Max: 2}, r, func(t *testing.T, w *world) {
		env := environment("a")
		var all []*outcome
		for _, pri := range []Priority{Interactive, Bulk, Interactive, Bulk} {
			all = append(all, w.waiting(w.Context(), env, pri))
		}
		warm := make(chan error, 1)
		go func() { warm <- w.p.Warm(w.Context(), env, 1) }()
		after(time.Second)
		for i, o := range all {
			if err := o.error(); !errors.Is(err, broken) {
				t.Errorf("waiter %d: %v", i, err)
			}
		}
		if err := <-warm; !errors.Is(err, broken) {
			t.Errorf("warm: %v", err)
		}
		if f := w.p.Stats().Environments[0].Failure; !strings.Contains(f, "nosuch") {
			t.Errorf("stats say %q", f)
		}
		// A failure is not kept for ever, nor tried again in a hurry.
		if _, err := w.p.Acquire(w.Context(), env, Interactive); !errors.Is(err, broken) {
			t.Fatalf("second launch: %v", err)
		}
		l := w.acquire(env, Interactive)
		l.Release()
		if w.launches != 3 {
			t.Errorf("%d launches, want 3", w.launches)
		}
		if f := w.p.Stats().Environments[0].Failure; f != "" {
			t.Errorf("stats still say %q", f)
		}
	})
}

func TestLaunchesBackOff(t *testing.T) {
	r := &fakeR{LaunchErr: func(int) error { return &StartError{Step: "setup"} }}
	inBubble(t, Options{Max: 1}, r, func(t *testing.T, w *world) {
		start := time.Now()
		for time.Since(start) < time.Hour && w.launches <= 500 {
			var failed *StartError
			if _, err := w.p.Acquire(w.Context(), environment("a"), Bulk); !errors.As(err, &failed) {
				t.Fatal(err)
			}
		}
		if w.launches > 500 {
			t.Errorf("%d launches in an hour", w.launches)
		}
	})
}

func TestWaitingForABrokenEnvironmentSaysSo(t *testing.T) {
	r := &fakeR{LaunchErr: func(int) error { return &StartError{Step: "source", What: "model.R"} }}
	inBubble(t, Options{Max: 1, QueueWait: time.Millisecond}, r, func(t *testing.T, w *world) {
		for range 20 { // until a back-off is longer than QueueWait
			_, err := w.p.Acquire(w.Context(), environment("a"), Interactive)
			var failed *StartError
			if !errors.As(err, &failed) || failed.What != "model.R" {
				t.Fatalf("got %v, want the StartError within", err)
			}
			if errors.Is(err, ErrQueueWait) {
				return
			}
		}
		t.Error("no call came into a back-off")
	})
}

func TestAFailedStartIsTriedAgainWhileOthersServe(t *testing.T) {
	r := &fakeR{StartErr: func(n int) error {
		if n == 2 {
			return &StartError{Step: "fork"}
		}
		return nil
	}}
	inBubble(t, Options{Max: 2}, r, func(t *testing.T, w *world) {
		env := environment("a")
		a := w.acquire(env, Interactive)
		start := time.Now()
		b := w.acquire(env, Interactive)
		if d := time.Since(start); d == 0 || d > crashBackoff {
			t.Errorf("tried again after %v", d)
		}
		a.Release()
		b.Release()
		if n := w.total().StartFailures; n != 1 {
			t.Errorf("%d failures counted", n)
		}
	})
}

func TestAFailedFirstStartIsTold(t *testing.T) {
	r := &fakeR{StartErr: func(n int) error {
		if n == 1 {
			return errors.New("resource temporarily unavailable")
		}
		return nil
	}}
	inBubble(t, Options{Max: 2}, r, func(t *testing.T, w *world) {
		var failed *StartError
		if _, err := w.p.Acquire(w.Context(), environment("a"), Interactive); !errors.As(err, &failed) {
			t.Fatalf("got %v, want a *StartError", err)
		}
		w.acquire(environment("a"), Interactive).Release()
	})
}

// Those who wait for a launch or a start that something has killed wait for the next,
// some times; one that ends by itself is told at once.
func TestAKilledStartIsTriedAgain(t *testing.T) {
	dies := func(signal string, times int) func(int) error {
		return func(n int) error {
			if n <= times {
				return &StartError{Step: "hello", Err: &DiedError{Pid: 7, Signal: signal}}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		r    *fakeR
		told bool
	}{
		"launches":            {r: &fakeR{LaunchErr: dies("SIGKILL", maxKilled)}},
		"starts":              {r: &fakeR{StartErr: dies("SIGTERM", maxKilled)}},
		"one launch too many": {r: &fakeR{LaunchErr: dies("SIGKILL", maxKilled+1)}, told: true},
		"one start too many":  {r: &fakeR{StartErr: dies("SIGKILL", maxKilled+1)}, told: true},
		"crashes":             {r: &fakeR{LaunchErr: dies("SIGSEGV", 1)}, told: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{Max: 2}, c.r, func(t *testing.T, w *world) {
				c.r.LaunchTime, c.r.StartTime = time.Second, time.Second
				o := w.waiting(w.Context(), environment("a"), Interactive)
				err := w.p.Warm(w.Context(), environment("a"), 1)
				synctest.Wait()
				if !c.told {
					o.lease().Release()
					if err != nil {
						t.Error(err)
					}
					return
				}
				var died *DiedError
				if !errors.As(err, &died) || !errors.As(o.error(), &died) {
					t.Errorf("%v, and not told: %v", err, o.error())
				}
				after(launchBackoffMax)
				w.acquire(environment("a"), Interactive).Release()
			})
		})
	}
}

func TestAPanicInALaunchIsAnError(t *testing.T) {
	r := &fakeR{LaunchErr: func(n int) error {
		if n == 1 {
			panic("out of range")
		}
		return nil
	}}
	inBubble(t, Options{Max: 1}, r, func(t *testing.T, w *world) {
		_, err := w.p.Acquire(w.Context(), environment("a"), Interactive)
		if err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Fatalf("got %v", err)
		}
		w.acquire(environment("a"), Interactive).Release()
	})
}

func TestTemplateDeath(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		a := w.acquire(env, Interactive)
		w.templates[0].exit()
		synctest.Wait()
		if _, err := a.Do(w.Context(), &Request{Kind: Call}); err != nil {
			t.Fatalf("a worker does not need its template: %v", err)
		}
		b := w.acquire(env, Interactive)
		if w.launches != 2 {
			t.Errorf("%d launches, want a second template", w.launches)
		}
		if w.templates[0].closed {
			t.Error("the dead template was closed, which kills its worker")
		}
		w.p.mu.Lock()
		a.m.spent = true
		w.p.mu.Unlock()
		a.Release()
		b.Release()
		after(time.Second)
		if !w.templates[0].closed {
			t.Error("the dead template was not closed after its last worker")
		}
	})
}

func TestWarm(t *testing.T) {
	inBubble(t, Options{Max: 3}, &fakeR{LaunchTime: 2 * time.Second, StartTime: time.Second}, func(t *testing.T, w *world) {
		env := environment("a")
		start := time.Now()
		if err := w.p.Warm(w.Context(), env, 10); err != nil { // more than Max is Max
			t.Fatal(err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("took %v", d)
		}
		if c := w.total(); c.Idle != 3 {
			t.Errorf("%d idle", c.Idle)
		}
		start = time.Now()
		w.acquire(env, Bulk).Release()
		if d := time.Since(start); d != 0 {
			t.Errorf("a warm worker took %v", d)
		}
	})
}

// All workers are busy with another environment, for which more always waits: a
// reload under load.
func TestWarmTakesItsTurnInABusyPool(t *testing.T) {
	inBubble(t, Options{Max: 2, Min: 1}, &fakeR{}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		var callers sync.WaitGroup
		for range 6 {
			callers.Go(func() {
				for ctx.Err() == nil {
					if l, err := w.p.Acquire(ctx, environment("old"), Interactive); err == nil {
						<-time.After(100 * time.Millisecond)
						l.Release()
					}
				}
			})
		}
		after(5 * time.Second)
		start := time.Now()
		if err := w.p.Warm(w.Context(), environment("new"), 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		cancel()
		callers.Wait()
	})
}

func TestWarmOfNoneLoadsTheTemplate(t *testing.T) {
	inBubble(t, Options{Max: 3}, &fakeR{}, func(t *testing.T, w *world) {
		if err := w.p.Warm(w.Context(), environment("a"), 0); err != nil {
			t.Fatal(err)
		}
		if w.launches != 1 || w.starts != 0 {
			t.Errorf("%d launches, %d starts", w.launches, w.starts)
		}
	})
}

func TestWarmCanBeCancelled(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{LaunchTime: time.Hour}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if err := w.p.Warm(ctx, environment("a"), 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
