package rpool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCloseWithLeasesOut(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		l := w.acquire(env, Interactive)
		result := make(chan error, 1)
		go func() {
			_, err := w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "block"})
			result <- err
		}()
		synctest.Wait()
		waiter := w.waiting(w.Context(), env, Interactive)
		if err := w.p.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(w.alive()); n != 0 {
			t.Errorf("%d workers after Close", n)
		}
		if err := <-result; !errors.Is(err, ErrClosed) {
			t.Errorf("the running request: %v", err)
		}
		if err := waiter.error(); !errors.Is(err, ErrClosed) {
			t.Errorf("the waiting one: %v", err)
		}
		if _, err := l.Do(w.Context(), &Request{Kind: Call}); !errors.Is(err, ErrClosed) {
			t.Errorf("a later request on the lease: %v", err)
		}
		l.Release()
		if _, err := w.p.Acquire(w.Context(), env, Interactive); !errors.Is(err, ErrClosed) {
			t.Errorf("a later Acquire: %v", err)
		}
		if err := w.p.Warm(w.Context(), env, 1); !errors.Is(err, ErrClosed) {
			t.Errorf("a later Warm: %v", err)
		}
		w.p.Retire(env)
	})
}

func TestCloseEndsWorkersInParallel(t *testing.T) {
	inBubble(t, Options{Max: 8}, &fakeR{StopTime: time.Second}, func(t *testing.T, w *world) {
		w.p.Warm(w.Context(), environment("a"), 4)
		w.p.Warm(w.Context(), environment("b"), 4)
		start := time.Now()
		w.p.Close()
		if d := time.Since(start); d != time.Second {
			t.Errorf("closing took %v", d)
		}
	})
}

func TestCloseDuringLaunchAndStart(t *testing.T) {
	f := func(r *fakeR) {
		t.Helper()
		inBubble(t, Options{Max: 1}, r, func(t *testing.T, w *world) {
			o := w.waiting(w.Context(), environment("a"), Interactive)
			warm := make(chan error, 1)
			go func() { warm <- w.p.Warm(w.Context(), environment("a"), 1) }()
			after(time.Second)
			w.p.Close()
			if err := o.error(); !errors.Is(err, ErrClosed) {
				t.Errorf("acquire: %v", err)
			}
			if err := <-warm; !errors.Is(err, ErrClosed) {
				t.Errorf("warm: %v", err)
			}
		})
	}
	f(&fakeR{LaunchTime: time.Minute})
	f(&fakeR{StartTime: time.Minute})
}

func TestCloseIsIdempotent(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{StopTime: time.Second}, func(t *testing.T, w *world) {
		w.acquire(environment("a"), Interactive)
		start := time.Now()
		go w.p.Close()
		synctest.Wait()
		w.p.Close()
		if d := time.Since(start); d != time.Second {
			t.Errorf("the second Close returned after %v, before the first", d)
		}
	})
}

func TestDrainWaitsForLeasesAndTheQueue(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		o := w.waiting(w.Context(), env, Interactive)
		drained := make(chan error, 1)
		go func() { drained <- w.p.Drain(w.Context()) }()
		synctest.Wait()
		if _, err := w.p.Acquire(w.Context(), env, Interactive); !errors.Is(err, ErrClosed) {
			t.Errorf("a new request while draining: %v", err)
		}
		held.Release()
		l := o.lease()
		if l == nil {
			t.Fatal("who waited before the drain was not served")
		}
		select {
		case <-drained:
			t.Fatal("drained under a lease")
		default:
		}
		l.Release()
		if err := <-drained; err != nil {
			t.Errorf("drain: %v", err)
		}
	})
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		l := w.acquire(environment("a"), Interactive)
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		if err := w.p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if n := len(w.alive()); n != 0 {
			t.Errorf("%d workers afterwards", n)
		}
		l.Release()
	})
}

func TestDrainOfAPoolAtRest(t *testing.T) {
	inBubble(t, Options{Min: 1, Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		w.acquire(environment("a"), Interactive).Release()
		if err := w.p.Drain(w.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRetire(t *testing.T) {
	inBubble(t, Options{Min: 1, Max: 3}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		w.acquire(env, Interactive).Release()
		w.p.Retire(environment("a"))
		if n := len(w.alive()); n != 1 {
			t.Errorf("%d workers; the idle one should have gone", n)
		}
		if _, err := held.Do(w.Context(), &Request{Kind: Call}); err != nil {
			t.Errorf("the leased one: %v", err)
		}
		fresh := w.acquire(env, Interactive)
		if w.launches != 2 {
			t.Errorf("%d launches, want a second for a request after Retire", w.launches)
		}
		held.Release()
		synctest.Wait()
		if !w.templates[0].closed {
			t.Error("the old template is still up")
		}
		if n := len(w.p.Stats().Environments); n != 1 {
			t.Errorf("%d environments", n)
		}
		fresh.Release()
	})
}

func TestReleaseDuringARequestCancelsIt(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		l := w.acquire(environment("a"), Interactive)
		results := make(chan error, 2)
		for range 2 { // one runs, the other waits for its turn
			go func() {
				_, err := l.Do(w.Context(), &Request{Kind: Call, Fun: "block"})
				results <- err
			}()
		}
		synctest.Wait()
		l.Release()
		for range 2 {
			if err := <-results; !errors.Is(err, errReleased) {
				t.Errorf("got %v", err)
			}
		}
		if n := len(w.procs[0].served); n != 1 {
			t.Errorf("the worker was given %d requests, one of them after Release", n)
		}
		if _, err := l.Do(w.Context(), &Request{Kind: Call}); !errors.Is(err, errReleased) {
			t.Errorf("after Release: %v", err)
		}
		if _, err := w.p.Do(w.Context(), environment("a"), Interactive, &Request{Kind: Call}); err != nil {
			t.Error(err)
		}
	})
}
