package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestKilledServerLosesNothing: what a store has acknowledged is there after kill -9 of
// its process under load, in both durabilities.
func TestKilledServerLosesNothing(t *testing.T) {
	kills(t, 4)
}

func kills(t *testing.T, times int) {
	dir := t.TempDir()
	acked := map[string]int{}
	total := 0
	for n := range times {
		d := []Durability{Always, "interval:200ms"}[n%2]
		var mu sync.Mutex
		enough := make(chan bool)
		after, lines := 200+rand.IntN(2000), 0
		c := spawn(t, helper{Dir: dir, Durability: d, Load: 8}, func(line string) {
			subject, text, _ := strings.Cut(line, " ")
			count, err := strconv.Atoi(text)
			if err != nil {
				return // a line that was cut off
			}
			mu.Lock()
			defer mu.Unlock()
			acked[subject] = count
			if lines++; lines == after {
				close(enough)
			}
		})
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Fatalf("%d writes in a minute", lines)
		}
		kill(c)
		b, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "store")})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		for subject, count := range acked {
			r, err := b.Get(t.Context(), subject)
			has, _ := strconv.Atoi(string(r.Data))
			if err != nil || has < count || has > count+1 {
				t.Errorf("kill %d (%s): %s is at %d, %v; acknowledged was %d", n+1, d, subject, has, err, count)
			}
		}
		total += lines
		mu.Unlock()
		b.Close()
	}
	t.Logf("%d kills, %d acknowledged writes of %d records", times, total, len(acked))
}

// TestWorkerOutlivesItsServer: a worker elsewhere, whose server is killed and started
// anew, goes on by itself: each of its writes counts once, work and changes still come.
func TestWorkerOutlivesItsServer(t *testing.T) {
	dir := t.TempDir()
	cluster, err := OpenCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	start := func() func() {
		c := spawn(t, helper{Dir: dir, Durability: "interval:200ms", Listen: addr}, func(string) {})
		return func() { kill(c) }
	}
	stop := start()
	w := join(t, cluster.Join(false, "tls://"+addr))
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	l := lanesOf(t, w, "q")
	came := make(chan int, 100)
	wg.Go(func() {
		for {
			ds, err := l.Next(ctx, 3)
			if err != nil {
				return
			}
			for _, d := range ds {
				d.Ack() //nolint:errcheck // it may be lost, and come again
				came <- d.N
			}
		}
	})
	seen := make(chan int, 10000)
	wg.Go(func() {
		last := uint64(0)
		w.Feed(ctx, 0, func(rs []Record) error { //nolint:errcheck // it ends with ctx
			for _, r := range rs {
				if r.Seq <= last {
					t.Errorf("feed: %d after %d", r.Seq, last)
				}
				last = r.Seq
				n, _ := strconv.Atoi(string(r.Data))
				seen <- n
			}
			return nil
		})
	})
	counting := make(chan int)
	go func() {
		n, seq := 0, uint64(0)
		defer func() { counting <- n }()
		for n < 3000 {
			got, err := w.Write(ctx, Write{Subject: "rp.s.count.1", Data: []byte(strconv.Itoa(n + 1)), Expect: seq})
			if err != nil {
				t.Errorf("write %d: %v", n+1, err)
				return
			}
			n, seq = n+1, got
		}
	}()
	last := 0
	for i := range 2 {
		for last < 500*(i+1) {
			last = <-seen
		}
		stop()
		stop = start()
	}
	n := <-counting
	r, err := w.Get(ctx, "rp.s.count.1")
	if err != nil || string(r.Data) != strconv.Itoa(n) {
		t.Errorf("the record counts %s, %v; %d writes were acknowledged", r.Data, err, n)
	}
	for last < n {
		select {
		case last = <-seen:
		case <-time.After(30 * time.Second):
			t.Fatalf("the feed stands at %d of %d", last, n)
		}
	}
	push(t, w, Work{"q", tasks.Normal, "job", 4711})
	for got := 0; got != 4711; {
		select {
		case got = <-came:
		case <-time.After(30 * time.Second):
			t.Fatal("work does not come any more")
		}
	}
}

// TestGoneServer: calls with a deadline do not hang when there is no server.
func TestGoneServer(t *testing.T) {
	dir := t.TempDir()
	cluster, err := OpenCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	c := spawn(t, helper{Dir: dir, Listen: addr}, func(string) {})
	w := join(t, cluster.Join(false, "tls://"+addr))
	l := lanesOf(t, w, "q")
	kill(c)
	for name, call := range map[string]func(ctx context.Context) error{
		"get":   func(ctx context.Context) error { _, err := w.Get(ctx, "rp.s.a.1"); return err },
		"write": func(ctx context.Context) error { _, err := w.Write(ctx, Write{Subject: "rp.s.a.1"}); return err },
		"range": func(ctx context.Context) error { return w.Range(ctx, "rp.s.>", func(Record) error { return nil }) },
		"push":  func(ctx context.Context) error { return w.Push(ctx, []Work{{"q", 0, "a", 1}}) },
		"next":  func(ctx context.Context) error { _, err := l.Next(ctx, 1); return err },
		"put":   func(ctx context.Context) error { _, err := w.Objects().Put(ctx, "a", random(10)); return err },
		"feed":  func(ctx context.Context) error { return w.Feed(ctx, 0, func([]Record) error { return nil }) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		err := call(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %s", name, took)
		}
		cancel()
	}
}

// TestReboot: batches staged in memory are gone with the machine, and the store opens.
func TestReboot(t *testing.T) {
	dir := t.TempDir()
	enough := make(chan bool)
	var once sync.Once
	c := spawn(t, helper{Dir: dir, Durability: Always, Load: 8}, func(string) { once.Do(func() { close(enough) }) })
	<-enough
	kill(c)
	store := filepath.Join(dir, "store")
	staging, err := os.ReadFile(filepath.Join(store, "staging"))
	if err != nil {
		t.Skip("no memory file system: ", err)
	}
	dropStaging(string(staging))
	if err := os.WriteFile(filepath.Join(store, bootFile), []byte("another boot\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, func(o *Options) { o.Dir = store })
	ws := make([]Write, 100)
	for i := range ws {
		ws[i] = Write{Subject: fmt.Sprintf("rp.s.reboot.%d", i+1), Data: []byte("x")}
	}
	_, errs := b.WriteAll(within(t), ws)
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
