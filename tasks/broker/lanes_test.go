package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

func lanesOf(t testing.TB, b *Broker, queues ...string) *Lanes {
	t.Helper()
	l, err := b.Lanes(t.Context(), queues)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func push(t testing.TB, b *Broker, ws ...Work) {
	t.Helper()
	if err := b.Push(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
}

// claim calls Next until it has n, and acknowledges them.
func claim(t testing.TB, l *Lanes, n, at int) []*Delivery {
	t.Helper()
	var all []*Delivery
	for len(all) < n {
		ds, err := l.Next(within(t), at)
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) == 0 || len(ds) > at {
			t.Fatalf("Next(%d) gave %d", at, len(ds))
		}
		for _, d := range ds {
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, ds...)
	}
	return all
}

// eventually waits until ok, which the engine makes true soon, but after it has answered.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

func TestLanesKeepStrictOrder(t *testing.T) {
	for _, at := range []int{1, 3, 100} {
		t.Run(fmt.Sprintf("%d at a time", at), func(t *testing.T) {
			b := open(t)
			var ws []Work
			for n := 1; n <= 3; n++ {
				for lane := range tasks.Lane(tasks.Lanes) {
					for _, q := range []string{"low", "my_queue", "high"} { // the last first
						ws = append(ws, Work{q, tasks.Lanes - 1 - lane, "job", n})
					}
				}
			}
			push(t, b, ws...)
			push(t, b, ws...) // no second message
			got := claim(t, lanesOf(t, b, "high", "my_queue", "low"), len(ws), at)
			var have, want []string
			for _, d := range got {
				have = append(have, d.subject())
			}
			for _, q := range []string{"high", "my_queue", "low"} {
				for lane := range tasks.Lane(tasks.Lanes) {
					for n := 1; n <= 3; n++ {
						want = append(want, Work{q, lane, "job", n}.subject())
					}
				}
			}
			if !slices.Equal(have, want) {
				t.Errorf("claimed\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
			}
			eventually(t, "the queues are empty", func() bool {
				n, err := b.Queued(t.Context(), "my_queue")
				return err == nil && n == 0
			})
		})
	}
}

// TestUrgentWorkGoesFirst: what comes into a better lane while there is a backlog is the
// next that is claimed.
func TestUrgentWorkGoesFirst(t *testing.T) {
	b := open(t)
	l := lanesOf(t, b, "a", "b")
	var ws []Work
	for n := range 50 {
		ws = append(ws, Work{"b", tasks.Low, "job", n + 1})
	}
	push(t, b, ws...)
	claim(t, l, 2, 1)
	for i := range 20 {
		push(t, b, Work{"a", tasks.Normal, "urgent", i + 1})
		// The engine tells its consumers a moment after it has answered Push.
		eventually(t, "it is queued", func() bool {
			n, err := b.Queued(t.Context(), "a")
			return err == nil && n == 1
		})
		late := 0
		for claim(t, l, 1, 1)[0].Job != "urgent" {
			late++
		}
		if late > 2 { // it may be on its way back from us, see holdFor
			t.Errorf("urgent task %d came after %d others", i+1, late)
		}
	}
}

func TestIdleLanesGetWorkAtOnce(t *testing.T) {
	b := open(t)
	l := lanesOf(t, b, "high", "default", "low")
	came := make(chan Work)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			ds, err := l.Next(ctx, 4)
			if err != nil {
				return
			}
			for _, d := range ds {
				d.Ack() //nolint:errcheck // then the queue is not empty in the end
				came <- d.Work
			}
		}
	})
	for i := range 300 {
		w := Work{[]string{"low", "high", "default"}[i%3], tasks.Lane(i % tasks.Lanes), "job", i + 1}
		push(t, b, w)
		select {
		case got := <-came:
			if got != w {
				t.Fatalf("claimed %v, want %v", got, w)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("task %d was not claimed", i+1)
		}
	}
	cancel()
	wg.Wait()
}

func TestWorkComesBack(t *testing.T) {
	b := open(t, func(o *Options) { o.AckWait = time.Second })
	l := lanesOf(t, b, "q")
	push(t, b, Work{"q", tasks.Normal, "job", 1})
	next := func() *Delivery {
		t.Helper()
		ds, err := l.Next(within(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		return ds[0]
	}
	first := next()
	start := time.Now()
	// Extended, it stays claimed for longer than AckWait.
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		_, err := l.Next(short, 1)
		got <- err
	}()
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			if err := first.Extend(); err != nil {
				t.Fatal(err)
			}
		case err := <-got:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("extended work came again after %s: %v", time.Since(start), err)
			}
			waiting = false
		}
	}
	// Its holder is silent: it is somebody else's.
	again := next()
	if again.Work != first.Work || again.Redelivered != 1 {
		t.Errorf("after AckWait: %+v, redelivered %d", again.Work, again.Redelivered)
	}
	// Given back: at once, or later.
	if err := again.Nak(0); err != nil {
		t.Fatal(err)
	}
	d := next()
	start = time.Now()
	if err := d.Nak(500 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	d = next()
	if took := time.Since(start); took < 450*time.Millisecond || took > 20*time.Second {
		t.Errorf("given back for 500 ms it came after %s", took)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
	// The first holder wakes up: what he says changes nothing.
	push(t, b, Work{"q", tasks.Normal, "job", 2})
	if err := first.Ack(); err != nil {
		t.Fatal(err)
	}
	if d := next(); d.N != 2 {
		t.Errorf("then %+v came", d.Work)
	}
}

func TestSetQueuesWhileNextWaits(t *testing.T) {
	b := open(t)
	l := lanesOf(t, b, "a")
	push(t, b, Work{"b", tasks.Front, "job", 1})
	got := make(chan *Delivery, 1)
	go func() {
		if ds, err := l.Next(within(t), 1); err == nil {
			got <- ds[0]
		}
	}()
	eventually(t, "Next waits", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.order[0].asked > 0 && l.order[0].until.After(time.Now().Add(pullAnswer))
	})
	if err := l.SetQueues(t.Context(), []string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	select {
	case d := <-got:
		if d.Queue != "b" {
			t.Errorf("claimed %+v", d.Work)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("work of the new queue does not come")
	}
	// A queue that is no longer served: what its open request brings is given back.
	if err := l.SetQueues(t.Context(), []string{"b"}); err != nil {
		t.Fatal(err)
	}
	push(t, b, Work{"a", tasks.Front, "job", 2})
	other := lanesOf(t, b, "a")
	if d := claim(t, other, 1, 1)[0]; d.N != 2 {
		t.Errorf("the other worker got %+v", d.Work)
	}
}

// TestUnclaimedWorkGoesToOthers: a process that is busy, or has closed its lanes, keeps
// nothing from others for long.
func TestUnclaimedWorkGoesToOthers(t *testing.T) {
	b := open(t)
	busy, idle := lanesOf(t, b, "q"), lanesOf(t, b, "q")
	push(t, b, Work{"q", tasks.Front, "job", 1})
	claim(t, busy, 1, 1)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := busy.Next(short, 1); !errors.Is(err, context.DeadlineExceeded) { // leaves requests open
		t.Fatal(err)
	}
	start := time.Now()
	for n := 2; n < 8; n++ {
		push(t, b, Work{"q", tasks.Lane(n % 4), "job", n})
	}
	claim(t, idle, 6, 1)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	busy.Close()
	if _, err := busy.Next(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	push(t, b, Work{"q", tasks.Front, "job", 9})
	claim(t, idle, 1, 1)
}

func TestEachTaskToOneWorker(t *testing.T) {
	b := open(t)
	const n = 2000
	ws := make([]Work, n)
	for i := range ws {
		ws[i] = Work{[]string{"a", "b"}[i%2], tasks.Lane(i % tasks.Lanes), "job", i + 1}
	}
	var mu sync.Mutex
	times := map[int]int{}
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		l := lanesOf(t, b, "a", "b")
		wg.Go(func() {
			for {
				ds, err := l.Next(ctx, 7)
				if err != nil {
					return
				}
				for _, d := range ds {
					if err := d.Ack(); err != nil {
						t.Error(err)
					}
				}
				mu.Lock()
				for _, d := range ds {
					if times[d.N]++; len(times) == n {
						cancel()
					}
				}
				mu.Unlock()
			}
		})
	}
	push(t, b, ws...)
	wg.Wait()
	for i := 1; i <= n; i++ {
		if times[i] != 1 {
			t.Errorf("task %d was claimed %d times", i, times[i])
		}
	}
}

func TestWithdrawAndPurge(t *testing.T) {
	b := open(t)
	var ws []Work
	for n := range 700 {
		ws = append(ws, Work{"q", tasks.Normal, "job", n + 1})
	}
	push(t, b, append(ws, Work{"other", tasks.Normal, "job", 1})...)
	count := func(queue string) int64 {
		n, err := b.Queued(t.Context(), queue)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "700 are queued", func() bool { return count("q") == 700 })
	if err := b.Withdraw(t.Context(), append(ws[:600:600], Work{"q", tasks.High, "none", 1})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "100 are left", func() bool { return count("q") == 100 })
	if d := claim(t, lanesOf(t, b, "q"), 1, 1)[0]; d.N != 601 {
		t.Errorf("the first one left is %d, want 601", d.N)
	}
	if err := b.Purge(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "none is left", func() bool { return count("q") == 0 })
	if n := count("other"); n != 1 {
		t.Errorf("the other queue has %d, want 1", n)
	}
}

// TestLanesFindTheirConsumersAgain: whoever removes the consumers of a queue, or a store
// that has lost them, does not keep its workers idle.
func TestLanesFindTheirConsumersAgain(t *testing.T) {
	b := open(t)
	l := lanesOf(t, b, "q")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Next(short, 1); !errors.Is(err, context.DeadlineExceeded) { // leaves requests open
		t.Fatal(err)
	}
	for lane := range tasks.Lane(tasks.Lanes) {
		if err := b.js.DeleteConsumer(t.Context(), workStream, consumerName("q", lane)); err != nil {
			t.Fatal(err)
		}
	}
	push(t, b, Work{"q", tasks.Low, "job", 1})
	claim(t, l, 1, 1)
	if n, err := b.Queued(t.Context(), "q"); err != nil || n > 1 {
		t.Errorf("%d queued, %v", n, err)
	}
}

// TestPushEndsWithItsContext: also of more than a connection has on its way at a time,
// each of which would wait for a place of its own.
func TestPushEndsWithItsContext(t *testing.T) {
	b := open(t)
	b.server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ws := make([]Work, 20*asyncWindow)
	for i := range ws {
		ws[i] = Work{"q", 1, "job", i + 1}
	}
	began := time.Now()
	if err := b.Push(ctx, ws); err == nil {
		t.Error("work was taken by a store that is away")
	}
	if d := time.Since(began); d > 4*ackTimeout {
		t.Errorf("it took %s", d)
	}
}

func TestWorkTellsOfItsRecord(t *testing.T) {
	b := open(t)
	l := lanesOf(t, b, "q")
	if err := b.PushTold(t.Context(), []Work{{"q", tasks.Normal, "job", 1}, {"q", tasks.Normal, "job", 2}}, []Told{{7, []byte("record")}, {}}); err != nil {
		t.Fatal(err)
	}
	for _, d := range claim(t, l, 2, 2) {
		want := Told{}
		if d.N == 1 {
			want = Told{7, []byte("record")}
		}
		if d.Told.Rev != want.Rev || string(d.Told.Data) != string(want.Data) {
			t.Errorf("task %d: %+v", d.N, d.Told)
		}
	}
}
