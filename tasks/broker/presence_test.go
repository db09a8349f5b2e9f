package broker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPresence(t *testing.T) {
	b := open(t)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	type change struct{ key, data string }
	changes := make(chan change, 100)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if err := b.Announce(ctx, "worker.a", []byte("1"), time.Minute); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		b.Watch(ctx, "worker.", func(key string, data []byte) error { //nolint:errcheck // it ends with ctx
			if data == nil {
				data = []byte("gone")
			}
			changes <- change{key, string(data)}
			return nil
		})
	})
	expect := func(want change) {
		t.Helper()
		select {
		case got := <-changes:
			if got != want {
				t.Fatalf("watched %v, want %v", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not seen: %v", want)
		}
	}
	expect(change{"worker.a", "1"})
	for _, key := range []string{"worker.b", "other.c"} {
		if err := b.Announce(ctx, key, []byte("2"), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	expect(change{"worker.b", "2"})
	here, err := b.Present(ctx, "worker.")
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(here)), []string{"worker.a", "worker.b"}) || string(here["worker.b"]) != "2" {
		t.Errorf("present: %q, %v", here, err)
	}
	expect(change{"worker.b", "gone"}) // it was not announced again
	if err := b.Announce(ctx, "worker.a", []byte("3"), time.Minute); err != nil {
		t.Fatal(err)
	}
	expect(change{"worker.a", "3"})
	if err := b.Withdrawn(ctx, "worker.a"); err != nil {
		t.Fatal(err)
	}
	expect(change{"worker.a", "gone"})
	if here, err := b.Present(ctx, "worker."); err != nil || len(here) != 0 {
		t.Errorf("present in the end: %q, %v", here, err)
	}
}

// TestOneLeads: of several processes one leads at a time, and when it goes another does.
func TestOneLeads(t *testing.T) {
	cluster, err := OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first := open(t, func(o *Options) { o.Listen, o.Cluster = "127.0.0.1:0", cluster })
	var leading atomic.Int64
	led := make(chan int, 10)
	run := func(ctx context.Context, b *Broker, i int) error {
		return b.Lead(ctx, "chores", func(ctx context.Context) error {
			if n := leading.Add(1); n != 1 {
				t.Errorf("%d lead at a time", n)
			}
			defer leading.Add(-1)
			led <- i
			<-ctx.Done()
			return ctx.Err()
		})
	}
	const n = 3
	var stop [n]context.CancelFunc
	ended := make(chan error, n)
	for i := range n {
		b := first
		if i > 0 { // other connections to the same store
			if b, err = Open(t.Context(), Options{URLs: []string{first.URL()}, Credentials: serveSeed(t, cluster), CA: caFile(t, cluster), Name: "other"}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
		}
		var ctx context.Context
		ctx, stop[i] = context.WithCancel(within(t))
		go func() { ended <- run(ctx, b, i) }()
	}
	seen := map[int]bool{}
	for range n {
		select {
		case i := <-led:
			if seen[i] {
				t.Errorf("%d leads again", i)
			}
			seen[i] = true
			stop[i]()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Lead ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nobody leads")
		}
	}
}

func TestLeadersAreReplacedWhenSilent(t *testing.T) {
	b := open(t)
	ctx := within(t)
	// One that has died: its key is there until it expires.
	if _, err := b.hold(ctx, "chores", 0); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	b.tag = "another" // so that the key is not this process's own
	led := time.Duration(0)
	mine := errors.New("mine")
	err := b.Lead(ctx, "chores", func(context.Context) error {
		led = time.Since(start)
		return mine
	})
	if !errors.Is(err, mine) || led < leadFor-time.Second || led > leadFor+20*time.Second {
		t.Errorf("it led after %s, and ended with %v", led, err)
	}
}

// TestLeaderStepsDown: who finds that another has its key stops before it goes on.
func TestLeaderStepsDown(t *testing.T) {
	b := open(t)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	began, over := make(chan bool, 2), make(chan error, 2)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Lead(ctx, "chores", func(ctx context.Context) error {
			began <- true
			<-ctx.Done()
			over <- context.Cause(ctx)
			return ctx.Err()
		})
	}()
	<-began
	if err := b.Announce(ctx, "leader.chores", []byte("usurper"), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-over:
		if !errors.Is(err, errNotLeading) {
			t.Errorf("the leader's context ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	<-began // and leads again, when the other has gone
	cancel()
	<-over
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Lead ended with %v", err)
	}
}
