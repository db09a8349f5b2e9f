package rpool

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestFirstComeFirstServed(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		var queue []*outcome
		for range 5 {
			queue = append(queue, w.waiting(w.Context(), env, Interactive))
		}
		for i, o := range queue {
			if o.lease() != nil {
				t.Fatalf("waiter %d was served while the only worker was leased", i)
			}
			held.Release()
			if held = o.lease(); held == nil {
				t.Fatalf("waiter %d was not served in its turn", i)
			}
		}
		held.Release()
		if n := w.total().Started; n != 1 {
			t.Errorf("%d workers were started for a budget of 1", n)
		}
	})
}

func TestInteractiveGoesBeforeBulk(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Bulk)
		bulk := w.waiting(w.Context(), env, Bulk)
		first := w.waiting(w.Context(), env, Interactive)
		second := w.waiting(w.Context(), env, Interactive)
		for _, o := range []*outcome{first, second, bulk} {
			held.Release()
			if held = o.lease(); held == nil {
				t.Fatal("out of order")
			}
		}
		held.Release()
	})
}

func TestBulkLeavesTheReserve(t *testing.T) {
	inBubble(t, Options{Max: 3, Reserve: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		first, second := w.acquire(env, Bulk), w.acquire(env, Bulk)
		third := w.waiting(w.Context(), env, Bulk)
		if third.lease() != nil {
			t.Fatal("bulk took the reserved worker")
		}
		if n := len(w.alive()); n != 2 {
			t.Errorf("%d workers are up; bulk must not bring up one that it may not have", n)
		}
		quick := w.acquire(env, Interactive)
		quick.Release()
		if third.lease() != nil {
			t.Fatal("bulk took the reserved worker when it came back")
		}
		first.Release()
		l := third.lease()
		if l == nil {
			t.Fatal("bulk was not served when a bulk lease came back")
		}
		l.Release()
		second.Release()
	})
}

func TestBulkLimitSpansEnvironments(t *testing.T) {
	inBubble(t, Options{Max: 2, Reserve: 1}, &fakeR{}, func(t *testing.T, w *world) {
		a, b := environment("a"), environment("b")
		w.acquire(b, Interactive).Release() // b has an idle worker
		held := w.acquire(a, Bulk)
		o := w.waiting(w.Context(), b, Bulk)
		if o.lease() != nil {
			t.Fatal("two bulk leases with a reserve of 1 in 2")
		}
		held.Release()
		l := o.lease()
		if l == nil {
			t.Fatal("the bulk lease of one environment was not passed on to the other")
		}
		l.Release()
	})
}

// Requests go before queued ones, those before bulk, whoever came first; and a reserve is
// kept from both.
func TestQueuedGoesBetweenInteractiveAndBulk(t *testing.T) {
	inBubble(t, Options{Max: 2, Reserve: 1}, &fakeR{}, func(t *testing.T, w *world) {
		api, job, etl := environment("a"), environment("b"), environment("c")
		first := w.acquire(job, Queued)
		bulk, queued := w.waiting(w.Context(), etl, Bulk), w.waiting(w.Context(), job, Queued)
		if bulk.lease() != nil || queued.lease() != nil {
			t.Fatal("a worker that is reserved was taken")
		}
		w.acquire(api, Interactive).Release()
		first.Release()
		l := queued.lease()
		if l == nil || bulk.lease() != nil {
			t.Fatal("bulk, which came first, went before a queued request")
		}
		waits := w.p.Stats().Total
		if waits.WaitingBulk != 1 || waits.WaitingQueued != 0 {
			t.Errorf("%+v", waits)
		}
		l.Release()
		after(patience + turn)
		if l = bulk.lease(); l == nil {
			t.Fatal("bulk has waited in vain")
		}
		l.Release()
	})
}

func TestQueueLength(t *testing.T) {
	inBubble(t, Options{Max: 1, QueueLength: 2}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Bulk)
		a, b := w.waiting(w.Context(), env, Bulk), w.waiting(w.Context(), env, Bulk)
		if _, err := w.p.Acquire(w.Context(), env, Bulk); !errors.Is(err, ErrQueueFull) {
			t.Fatalf("third waiter: %v, want ErrQueueFull", err)
		}
		quick := w.waiting(w.Context(), env, Interactive)
		if err := quick.error(); err != nil {
			t.Fatalf("a queue full of bulk shut Interactive out: %v", err)
		}
		held.Release()
		quick.lease().Release()
		a.lease().Release()
		b.lease().Release()
	})
}

func TestQueueWait(t *testing.T) {
	inBubble(t, Options{Max: 1, QueueWait: 3 * time.Second}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		start := time.Now()
		o := w.waiting(w.Context(), env, Interactive)
		after(3 * time.Second)
		if err := o.error(); !errors.Is(err, ErrQueueWait) {
			t.Fatalf("got %v, want ErrQueueWait", err)
		}
		if d := o.at.Sub(start); d != 3*time.Second {
			t.Errorf("gave up after %v", d)
		}
		if n := w.total().WaitingInteractive; n != 0 {
			t.Errorf("%d still in the queue", n)
		}
		held.Release()
		w.acquire(env, Interactive).Release()
	})
}

func TestCancelledWaiterLeavesTheQueue(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		why := errors.New("client hung up")
		ctx, cancel := context.WithCancelCause(w.Context())
		first := w.waiting(ctx, env, Interactive)
		second := w.waiting(w.Context(), env, Interactive)
		cancel(why)
		if err := first.error(); err != why {
			t.Fatalf("got %v, want the context's cause", err)
		}
		held.Release()
		l := second.lease()
		if l == nil {
			t.Fatal("the wake-up went to who had left")
		}
		l.Release()
		if _, err := w.p.Acquire(ctx, env, Interactive); err != why {
			t.Errorf("with a context that has ended: %v, want its cause", err)
		}
	})
}

// A lease that is granted at the moment its caller gives up must come back.
func TestCancelAtTheMomentOfBeingServed(t *testing.T) {
	gaveUp := 0
	for range 100 {
		inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
			env := environment("a")
			held := w.acquire(env, Interactive)
			ctx, cancel := context.WithCancel(w.Context())
			o := w.waiting(ctx, env, Interactive)
			// Both under the lock, so that neither can be seen without the other.
			w.p.mu.Lock()
			cancel()
			w.p.takeBack(held.m)
			w.p.mu.Unlock()
			if l := o.lease(); l != nil {
				l.Release()
			} else if errors.Is(o.error(), context.Canceled) {
				gaveUp++
			}
			if c := w.total(); c.Busy != 0 || c.Idle != 1 {
				t.Fatalf("busy %d, idle %d after everyone is done", c.Busy, c.Idle)
			}
			w.acquire(env, Interactive).Release()
		})
	}
	if gaveUp == 0 {
		t.Error("in 100 trials nobody gave up with a lease granted: this test shows nothing")
	}
}

func TestQueueWaitIsCounted(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		held := w.acquire(env, Interactive)
		a, b := w.waiting(w.Context(), env, Interactive), w.waiting(w.Context(), env, Interactive)
		after(2 * time.Second)
		held.Release()
		l := a.lease()
		after(time.Second)
		l.Release()
		b.lease().Release()
		c := w.total()
		if c.QueueWait != 5*time.Second || c.QueueWaitMax != 3*time.Second {
			t.Errorf("queue wait %v, max %v; want 5s, 3s", c.QueueWait, c.QueueWaitMax)
		}
	})
}

func TestBulkRunsNiced(t *testing.T) {
	inBubble(t, Options{Max: 1}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		for _, c := range []struct {
			after time.Duration
			pri   Priority
			nices []int // so far: only where it changes
		}{
			{0, Bulk, []int{10}},
			{0, Bulk, []int{10}},
			{0, Interactive, []int{10, 0}},
			{lull - 1, Bulk, []int{10, 0, 19}},
			{0, Bulk, []int{10, 0, 19}},
			{1, Bulk, []int{10, 0, 19, 10}},
			{time.Minute, Interactive, []int{10, 0, 19, 10, 0}},
		} {
			time.Sleep(c.after) // the bubble's time
			w.acquire(env, c.pri).Release()
			if got := w.procs[0].nices; !slices.Equal(got, c.nices) {
				t.Fatalf("niced %v, want %v", got, c.nices)
			}
		}
	})
}

func TestBulkKnowsOfRequestsUnderWay(t *testing.T) {
	inBubble(t, Options{Max: 2}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		f := func(want bool) {
			t.Helper()
			if got := w.p.Beside(); got != want {
				t.Errorf("Beside() is %t, want %t", got, want)
			}
		}
		bulk := w.acquire(env, Bulk)
		f(false)
		request := w.acquire(env, Interactive)
		time.Sleep(time.Hour)
		f(true)
		request.Release()
		f(true)
		time.Sleep(lull)
		f(false)
		bulk.Release()
		f(false)
	})
}

func TestWorkerThatCannotBeRaisedAgainIsReplaced(t *testing.T) {
	refuse := func(n int) error {
		if n < bulkNice {
			return errors.New("permission denied")
		}
		return nil
	}
	inBubble(t, Options{Max: 1}, &fakeR{NiceErr: refuse}, func(t *testing.T, w *world) {
		env := environment("a")
		w.acquire(env, Bulk).Release()
		w.acquire(env, Interactive).Release() // runs at nice 10 this once
		synctest.Wait()
		alive := w.alive()
		if len(alive) != 1 || alive[0] == w.procs[0] {
			t.Fatal("the niced worker is still there")
		}
		w.acquire(env, Bulk).Release()
		if n := len(alive[0].nices); n != 0 {
			t.Errorf("another worker was niced after raising was refused")
		}
	})
}
