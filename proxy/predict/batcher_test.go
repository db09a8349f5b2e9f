package predict

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// bench is a batcher between two channels; the test is the callers and R.
type stand struct {
	*batcher
	in   chan *stages.Batch[*call]
	out  chan *stages.Batch[*work]
	done chan error
}

func newStand(ctx context.Context, p policy, concurrency int) *stand {
	s := &stand{newBatcher(p, concurrency), make(chan *stages.Batch[*call]), make(chan *stages.Batch[*work], 100), make(chan error, 1)}
	go func() { s.done <- s.run(ctx, s.in, s.out) }()
	return s
}

// rows is a frame of so many rows of one column.
func rowsOf(n int, t arrow.DataType) frame.Frame {
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{{Name: "x", Type: t, Nullable: true}}, nil))
	for range n {
		b.Column(0).AppendNull()
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

func (s *stand) send(ctx context.Context, rows ...int) (calls []*call) {
	for _, n := range rows {
		c := newCall(ctx, rowsOf(n, arrow.PrimitiveTypes.Float64), false)
		calls = append(calls, c)
		s.in <- &stages.Batch[*call]{Value: c}
	}
	return calls
}

// batches are the rows of the calls of each batch that has gone to R by now.
func (s *stand) batches() (out [][]int) {
	synctest.Wait()
	for len(s.out) > 0 {
		var rows []int
		b := (<-s.out).Value.For
		for _, c := range b.calls {
			rows = append(rows, int(c.rows.NumRows()))
		}
		b.release()
		out = append(out, rows)
	}
	return out
}

func (s *stand) end(t *testing.T) {
	t.Helper()
	close(s.in)
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

func expect(t *testing.T, got [][]int, want ...[]int) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Errorf("batches of %v rows, not %v", got, want)
	}
}

var usual = policy{rows: 10, bytes: 1 << 20}

func TestACallGoesAtOnceWhileAWorkerIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t.Context(), usual, 2)
		s.send(t.Context(), 1)
		expect(t, s.batches(), []int{1})
		s.send(t.Context(), 2)
		expect(t, s.batches(), []int{2})
		s.end(t)
	})
}

func TestWhatComesWhileAllAreBusyIsTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t.Context(), usual, 1)
		s.send(t.Context(), 1)
		s.batches()
		s.send(t.Context(), 2, 3, 4, 5, 1) // of ten rows: a call is never taken apart here, one that fits goes with those before
		expect(t, s.batches())
		<-s.slots
		expect(t, s.batches(), []int{2, 3, 4, 1})
		<-s.slots
		expect(t, s.batches(), []int{5})
		s.end(t)
	})
}

// finish is R that has done a batch of so many calls.
func (s *stand) finish(calls int) {
	synctest.Wait()
	s.inside.Add(-int64(calls))
	<-s.slots
}

// Callers who were there a moment ago are waited for, but not for long.
func TestTheFirstOfABurstWaitsForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := usual
		p.wait = 5 * time.Millisecond
		s := newStand(t.Context(), p, 1)
		s.send(t.Context(), 1)
		expect(t, s.batches(), []int{1}) // nobody else was there
		s.send(t.Context(), 2, 3)
		s.finish(1)
		time.Sleep(5 * time.Millisecond) // three callers were known, and one does not come back
		expect(t, s.batches(), []int{2, 3})
		s.finish(2)
		s.send(t.Context(), 1)
		time.Sleep(4 * time.Millisecond)
		expect(t, s.batches())
		s.send(t.Context(), 2, 4) // all three are there: nothing to wait for
		expect(t, s.batches(), []int{1, 2, 4})
		s.finish(3)
		s.send(t.Context(), 4, 6) // full: it does not wait
		expect(t, s.batches(), []int{4, 6})
		s.finish(2)
		s.send(t.Context(), 1)
		s.end(t) // the end of the input flushes
		expect(t, s.batches(), []int{1})
	})
}

func TestRequestsOneKeepsRequestsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := usual
		p.requests = 1
		s := newStand(t.Context(), p, 1)
		s.send(t.Context(), 1, 1, 1)
		expect(t, s.batches(), []int{1})
		<-s.slots
		expect(t, s.batches(), []int{1})
		<-s.slots
		expect(t, s.batches(), []int{1})
		s.end(t)
	})
}

func TestBytesBoundABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := usual
		p.bytes = 3 * frame.Bytes(rowsOf(1, arrow.PrimitiveTypes.Float64))
		s := newStand(t.Context(), p, 1)
		s.send(t.Context(), 1)
		s.batches()
		s.send(t.Context(), 1, 1, 1, 1)
		<-s.slots
		expect(t, s.batches(), []int{1, 1, 1})
		<-s.slots
		expect(t, s.batches(), []int{1})
		s.end(t)
	})
}

func TestCallsThatWereGivenUpAreNotInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t.Context(), usual, 1)
		s.send(t.Context(), 1)
		s.batches()
		calls := s.send(t.Context(), 2, 3, 4)
		if !calls[1].giveUp() {
			t.Fatal("it was taken")
		}
		s.wake()
		<-s.slots
		expect(t, s.batches(), []int{2, 4})
		if calls[0].giveUp() {
			t.Error("a call that was taken could be given up")
		}
		s.end(t)
	})
}

// A batch is cancelled when the last of its callers has gone, and not before.
func TestABatchEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t.Context(), usual, 1)
		s.send(t.Context(), 1)
		s.batches()
		first, leave := context.WithCancel(t.Context())
		second, leaveToo := context.WithCancel(t.Context())
		s.send(first, 1)
		s.send(second, 1)
		<-s.slots
		synctest.Wait()
		b := (<-s.out).Value.For
		leave()
		synctest.Wait()
		if b.ctx.Err() != nil {
			t.Error("it ended with its first caller")
		}
		leaveToo()
		synctest.Wait()
		if b.ctx.Err() == nil {
			t.Error("it goes on for nobody")
		}
		b.release()
		s.end(t)
	})
}
