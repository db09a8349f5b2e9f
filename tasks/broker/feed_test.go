package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestFeedIsTheWholeHistory: who applies the feed has in the end what there is, with
// each change in order, from the beginning or from where he was.
func TestFeedIsTheWholeHistory(t *testing.T) {
	modes(t, func(t *testing.T, b *Broker) {
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		state := map[string]string{}
		var last uint64
		done := make(chan error, 1)
		end := make(chan uint64, 1)
		run := func(from uint64) {
			done <- b.Feed(ctx, from, func(rs []Record) error {
				for _, r := range rs {
					if r.Seq <= last {
						t.Errorf("sequence %d after %d", r.Seq, last)
					}
					last = r.Seq
					if r.Data == nil {
						delete(state, r.Subject)
					} else {
						state[r.Subject] = string(r.Data)
					}
				}
				select {
				case n := <-end:
					if last >= n {
						return errEnd
					}
					end <- n
				default:
				}
				return nil
			})
		}
		go run(0)
		want := map[string]string{}
		write := func(round int) {
			var ws []Write
			for i := range 700 {
				s := fmt.Sprintf("rp.s.job.%d", i+1)
				w := Write{Subject: s, Data: []byte(strconv.Itoa(round)), Any: true, Delete: i%5 == round}
				ws = append(ws, w)
				if want[s] = strconv.Itoa(round); w.Delete {
					delete(want, s)
				}
			}
			_, errs := b.WriteAll(ctx, ws)
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
		}
		mark := func() {
			n, err := b.Write(ctx, Write{Subject: "rp.q.mark", Any: true})
			if err != nil {
				t.Fatal(err)
			}
			end <- n
			if _, err := b.Write(ctx, Write{Subject: "rp.q.mark", Any: true}); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !errors.Is(err, errEnd) {
				t.Fatal(err)
			}
		}
		write(0)
		write(1)
		mark()
		write(2) // while nobody reads
		from := last
		go run(from)
		write(3)
		mark()
		delete(state, "rp.q.mark")
		if len(state) != len(want) {
			t.Errorf("%d records, want %d", len(state), len(want))
		}
		for s, data := range want {
			if state[s] != data {
				t.Errorf("%s is %q, want %q", s, state[s], data)
			}
		}
		seq, err := b.LastSeq(ctx)
		if err != nil || seq < last || seq > last+1 {
			t.Errorf("LastSeq is %d, %v; the feed ended at %d", seq, err, last)
		}
	})
}

func TestFeedIsPrompt(t *testing.T) {
	b := open(t, interval)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	came := make(chan Record)
	var wg sync.WaitGroup
	wg.Go(func() {
		b.Feed(ctx, 0, func(rs []Record) error { //nolint:errcheck // it ends with ctx
			for _, r := range rs {
				select {
				case came <- r:
				case <-ctx.Done():
				}
			}
			return nil
		})
	})
	best := time.Hour
	for i := range 100 {
		start := time.Now()
		seq, err := b.Write(ctx, Write{Subject: "rp.s.job.1", Data: []byte{byte(i)}, Any: true})
		if err != nil {
			t.Fatal(err)
		}
		if r := <-came; r.Seq != seq {
			t.Fatalf("record %d, want %d", r.Seq, seq)
		}
		best = min(best, time.Since(start))
	}
	if best > 20*time.Millisecond {
		t.Errorf("the fastest of 100 changes took %s to come back", best)
	}
	cancel()
	wg.Wait()
}

func TestFeedEndsWithItsReader(t *testing.T) {
	b := open(t)
	if _, err := b.Write(t.Context(), Write{Subject: "rp.s.job.1", Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if err := b.Feed(within(t), 0, func([]Record) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("error of the reader: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Feed(ctx, 0, func([]Record) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error of the context: %v", err)
	}
	got := make(chan error, 1)
	began := make(chan bool)
	begin := sync.OnceFunc(func() { close(began) })
	go func() { got <- b.Feed(context.Background(), 0, func([]Record) error { begin(); return nil }) }()
	<-began
	b.Close()
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("error after Close: %v", err)
	}
}

func TestRangeAndEpoch(t *testing.T) {
	dir := t.TempDir()
	here := func(o *Options) { o.Dir = dir }
	b := open(t, here)
	ctx := within(t)
	var ws []Write
	for i := range 3000 {
		ws = append(ws, Write{Subject: fmt.Sprintf("rp.s.job%d.%d", i%2, i/2+1), Data: make([]byte, 4000)})
	}
	_, errs := b.WriteAll(ctx, ws)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(ctx, Write{Subject: "rp.s.job1.3", Delete: true, Any: true}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var last uint64
	err := b.Range(ctx, "rp.s.job1.*", func(r Record) error {
		if r.Seq <= last || len(r.Data) != 4000 || seen[r.Subject] {
			t.Errorf("%s at %d after %d, with %d bytes", r.Subject, r.Seq, last, len(r.Data))
		}
		last = r.Seq
		seen[r.Subject] = true
		return nil
	})
	if err != nil || len(seen) != 1499 || seen["rp.s.job1.3"] {
		t.Errorf("%d records, %v", len(seen), err)
	}
	if err := b.Range(ctx, "rp.s.none.*", func(Record) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
	epoch, err := b.Epoch(ctx)
	if err != nil || epoch == "" {
		t.Fatal(epoch, err)
	}
	// A second process is kept out; one that comes later finds everything.
	if _, err := Open(ctx, Options{Dir: dir}); err == nil {
		t.Error("the same directory was opened twice")
	}
	b.Close()
	b = open(t, here)
	if again, err := b.Epoch(ctx); err != nil || again != epoch {
		t.Errorf("epoch %q, %v after a start, %q before", again, err, epoch)
	}
	if r, err := b.Get(ctx, "rp.s.job1.1500"); err != nil || len(r.Data) != 4000 {
		t.Errorf("after a start: %d bytes, %v", len(r.Data), err)
	}
	if other, err := open(t).Epoch(ctx); err != nil || other == epoch {
		t.Errorf("another store has epoch %q, %v, as this one", other, err)
	}
}

// TestFollowTellsOfSomeSubjects: of those that are there, that come, and that go.
func TestFollowTellsOfSomeSubjects(t *testing.T) {
	b, ctx := open(t), within(t)
	write := func(w Write) {
		if _, err := b.Write(ctx, w); err != nil {
			t.Error(err)
		}
	}
	write(Write{Subject: "rp.r.a", Data: []byte("1")})
	write(Write{Subject: "rp.q.a", Data: []byte("no")})
	write(Write{Subject: "rp.h.a.1", Data: []byte("2")})
	var got []string
	err := b.Follow(ctx, []string{"rp.r.>", "rp.h.>"}, func(rs []Record) error {
		if rs == nil {
			got = append(got, "level")
			write(Write{Subject: "rp.s.a.1", Data: []byte("no")})
			write(Write{Subject: "rp.r.a", Delete: true, Any: true})
		}
		for _, r := range rs {
			got = append(got, r.Subject+"="+string(r.Data))
		}
		if len(got) == 4 {
			return errEnd
		}
		return nil
	})
	if want := []string{"rp.r.a=1", "rp.h.a.1=2", "level", "rp.r.a="}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q (%v)", got, want, err)
	}
}
