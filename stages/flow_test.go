package stages

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ints is a source of n batches of per numbers each, gap apart.
func ints(l *Ledger, n, per int, gap time.Duration) Source[[]int] {
	return func(soft, hard context.Context, out chan<- *Batch[[]int]) error {
		for i := range n {
			if soft.Err() != nil {
				return nil
			}
			b := &Batch[[]int]{Rows: per, Seq: uint64(i), First: int64(i * per)}
			for j := range per {
				b.Value = append(b.Value, i*per+j)
			}
			if l != nil {
				o, err := l.Open(hard, strconv.Itoa((i+1)*per), 0, int64(per))
				if err != nil {
					return err
				}
				b.Origins = []*Origin{o}
			}
			if err := Send(hard, out, b); err != nil {
				return err
			}
			select {
			case <-time.After(gap):
			case <-soft.Done():
			}
		}
		return nil
	}
}

// collect is a sink that settles what it takes.
func collect(got *[]int) func(context.Context, <-chan *Batch[[]int]) error {
	return func(ctx context.Context, in <-chan *Batch[[]int]) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			*got = append(*got, b.Value...)
			b.Settle(nil)
		}
	}
}

func pass(d func(first int) time.Duration) func(context.Context, *Batch[[]int]) (*Batch[[]int], error) {
	return func(ctx context.Context, b *Batch[[]int]) (*Batch[[]int], error) {
		time.Sleep(d(b.Value[0])) // the bubble's clock
		return b, nil
	}
}

func TestOrderIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(1000, 0)
		r := NewRun(t.Context())
		src := From(r, "src", 1, ints(l, 100, 10, 0))
		m := Then(r, "map", 1, src, Parallel(4, true, pass(func(i int) time.Duration { return time.Duration(100-i%97) * time.Millisecond })))
		var got []int
		To(r, "sink", m, collect(&got))
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != i {
				t.Fatalf("got[%d] = %d", i, v)
			}
		}
		if front, _ := l.Frontier(); len(got) != 1000 || front != "1000" {
			t.Fatalf("%d rows, frontier %s", len(got), front)
		}
	})
}

func TestUnorderedDeliversEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRun(t.Context())
		src := From(r, "src", 1, ints(nil, 100, 1, 0))
		m := Then(r, "map", 1, src, Parallel(4, false, pass(func(i int) time.Duration { return time.Duration(i%7) * time.Second })))
		var got []int
		To(r, "sink", m, collect(&got))
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		seen := map[int]int{}
		sorted := true
		for i, v := range got {
			seen[v]++
			sorted = sorted && (i == 0 || got[i-1] < v)
		}
		for i := range 100 {
			if seen[i] != 1 {
				t.Errorf("%d came %d times", i, seen[i])
			}
		}
		if sorted {
			t.Error("a slow batch held back the others")
		}
	})
}

func TestInFlightIsBounded(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := NewRun(t.Context())
			made := 0
			src := From(r, "src", 1, func(soft, hard context.Context, out chan<- *Batch[[]int]) error {
				for Send(hard, out, &Batch[[]int]{Value: []int{made}}) == nil {
					made++
				}
				return nil
			})
			m := Then(r, "map", 1, src, Parallel(4, ordered, func(ctx context.Context, b *Batch[[]int]) (*Batch[[]int], error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}))
			To(r, "sink", m, collect(new([]int)))
			synctest.Wait() // everyone is blocked: what was made is in flight
			if made > 6 {   // 4 at work, 1 held by the feeder, 1 in the channel
				t.Errorf("ordered %v: %d batches in flight", ordered, made)
			}
			stop := errors.New("stop")
			r.Stop(stop)
			if err := r.Wait(); !errors.Is(err, stop) {
				t.Error(err)
			}
		})
	}
}

func TestAnErrorStopsEverything(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { // Test fails if a goroutine is left
			r := NewRun(t.Context())
			src := From(r, "src", 1, ints(nil, 1_000_000, 10, 0))
			m := Then(r, "score", 1, src, Parallel(4, ordered, func(ctx context.Context, b *Batch[[]int]) (*Batch[[]int], error) {
				if b.Value[0] == 500 {
					return nil, At(b, errors.New("object 'x' not found"))
				}
				return b, nil
			}))
			var got []int
			To(r, "sink", m, collect(&got))
			err := r.Wait()
			var se *StageError
			if !errors.As(err, &se) || se.Stage != "score" {
				t.Fatalf("err = %v", err)
			}
			if want := "score: batch 51 (rows 501-510): object 'x' not found"; err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
		})
	}
}

// An error must not wait for an idle source to send its next batch.
func TestAnErrorDoesNotWaitForTheSource(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := NewRun(t.Context())
			src := From(r, "src", 1, ints(nil, 2, 1, time.Hour))
			m := Then(r, "map", 1, src, Parallel(2, ordered, func(context.Context, *Batch[[]int]) (*Batch[[]int], error) {
				return nil, errors.New("bad")
			}))
			To(r, "sink", m, collect(new([]int)))
			start := time.Now()
			if err := r.Wait(); err == nil || time.Since(start) > time.Second {
				t.Errorf("ordered %v: %v after %v", ordered, err, time.Since(start))
			}
		})
	}
}

func TestAPanicIsAnErrorWithItsStack(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := NewRun(t.Context())
			src := From(r, "src", 1, ints(nil, 10, 1, 0))
			m := Then(r, "map", 1, src, Parallel(2, ordered, func(context.Context, *Batch[[]int]) (*Batch[[]int], error) {
				panic("boom")
			}))
			To(r, "sink", m, collect(new([]int)))
			err := r.Wait()
			if err == nil || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "flow_test.go") {
				t.Errorf("ordered %v: %v", ordered, err)
			}
		})
	}
}

func TestADrainDeliversWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(10_000, 0)
		r := NewRun(t.Context())
		src := From(r, "src", 1, ints(l, 1_000_000, 10, 100*time.Millisecond))
		m := Then(r, "map", 1, src, Parallel(4, true, pass(func(int) time.Duration { return 2 * time.Second })))
		var got []int
		To(r, "sink", m, collect(&got))
		time.Sleep(10 * time.Second) // the bubble's clock
		start := time.Now()
		r.Drain()
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		if front, _ := l.Frontier(); front != strconv.Itoa(len(got)) || len(got) == 0 {
			t.Errorf("frontier %s, %d rows", front, len(got))
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("the drain took %v", d)
		}
		if _, open := l.Frontier(); open != 0 {
			t.Errorf("%d reads open after the drain", open)
		}
	})
}

func TestChainIsOneStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRun(t.Context())
		src := From(r, "src", 1, ints(nil, 50, 2, 0))
		slow := pass(func(int) time.Duration { return time.Second })
		quick := pass(func(int) time.Duration { return 0 })
		m := Then(r, "map", 1, src, Chain(0, unmetered(Parallel(2, true, quick)), Chain(0, Parallel(5, true, slow), unmetered(Parallel(2, true, quick)))))
		var got []int
		To(r, "sink", m, collect(&got))
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		reading := r.Meters()[1].Read()
		if reading.RowsIn != 100 || reading.RowsOut != 100 || reading.BatchesIn != 50 || reading.BatchesOut != 50 {
			t.Errorf("%+v", reading)
		}
		if reading.Workers != 5 || reading.Busy != 50*time.Second || reading.Elapsed != 10*time.Second || reading.BusyTime() != 10*time.Second {
			t.Errorf("workers %d, busy %v of %v", reading.Workers, reading.Busy, reading.Elapsed)
		}
	})
}

func TestChainReportsTheFirstPartsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRun(t.Context())
		src := From(r, "src", 1, ints(nil, 50, 2, time.Hour))
		bad := func(context.Context, *Batch[[]int]) (*Batch[[]int], error) { return nil, errors.New("bad") }
		m := Then(r, "map", 1, src, Chain(0, Parallel(2, true, bad), Parallel(2, true, pass(func(int) time.Duration { return 0 }))))
		To(r, "sink", m, collect(new([]int)))
		if err := r.Wait(); err == nil || err.Error() != "map: bad" {
			t.Error(err)
		}
	})
}
