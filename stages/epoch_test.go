package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/frame"
)

// epochSink takes rows by epoch and commits an epoch when the ledger says that it
// is settled, as a run does.
type epochSink struct {
	mu        sync.Mutex
	open      map[uint64][]int64
	committed []int64
	pos       string // of the last committed epoch
	epochs    int
}

func (s *epochSink) write(ctx context.Context, in <-chan *Rows) error {
	for {
		b, ok, err := Receive(ctx, in)
		if !ok || err != nil {
			return err
		}
		s.mu.Lock()
		s.open[b.Epoch] = append(s.open[b.Epoch], b.Value.Column(0).(*array.Int64).Int64Values()...)
		s.mu.Unlock()
		b.Settle(nil)
	}
}

func (s *epochSink) commits(ctx context.Context, l *Ledger, every time.Duration) {
	clock := time.NewTicker(every) // the bubble's clock
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
			l.Cut()
		case e := <-l.Settled():
			s.mu.Lock()
			s.committed = append(s.committed, s.open[e.Number]...)
			delete(s.open, e.Number)
			s.pos, s.epochs = e.Pos, s.epochs+1
			s.mu.Unlock()
			l.Committed()
		case <-ctx.Done():
			return
		}
	}
}

// numberedReads sends reads of these sizes, whose values count up from 0.
func numberedReads(l *Ledger, sizes []int, pause time.Duration) Source[frame.Frame] {
	return func(_, hard context.Context, out chan<- *Rows) error {
		at := 0
		for i, n := range sizes {
			time.Sleep(pause) // the bubble's clock
			f := numbered(at, at+n)
			at += n
			o, err := l.Open(hard, strconv.Itoa(at), int64(n), frame.Bytes(f))
			if err != nil {
				return err
			}
			b := &Rows{Value: f, Rows: n, Bytes: frame.Bytes(f), Seq: uint64(i), Epoch: o.Epoch(), Origins: []*Origin{o}}
			if err := Send(hard, out, b); err != nil {
				return err
			}
		}
		return nil
	}
}

// Whatever the stages do with order and sizes, and whenever the process dies:
// the rows of the committed epochs are those of the reads up to the committed
// position, each once.
func TestCommittedRowsAreThoseOfTheReadsUpToTheFrontier(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 60).Draw(rt, "reads")
		ms := func(name string, lo, hi int) time.Duration {
			return time.Duration(rapid.IntRange(lo, hi).Draw(rt, name)) * time.Millisecond
		}
		pause, every, dies := ms("pause", 0, 50), ms("every", 1, 200), ms("dies", 1, 3000)
		spread := rapid.IntRange(1, 100).Draw(rt, "spread")
		ordered := rapid.Bool().Draw(rt, "ordered")
		policies := []Policy{{Rows: rapid.IntRange(1, 40).Draw(rt, "rows")}, {Rows: rapid.IntRange(1, 40).Draw(rt, "rows again"), Period: ms("period", 0, 100)}}
		memory := int64(rapid.SampledFrom([]int{0, 4000}).Draw(rt, "memory"))
		drops := rapid.IntRange(2, 9).Draw(rt, "drops")

		wrong := ""
		synctest.Test(t, func(*testing.T) { // rapid's own failures must not cross the bubble
			l := NewLedger(memory, 1)
			s := &epochSink{open: map[uint64][]int64{}}
			r := NewRun(context.Background())
			edge := From(r, "src", 1, numberedReads(l, sizes, pause))
			edge = Then(r, "work", 1, edge, Parallel(4, ordered, func(_ context.Context, b *Rows) (*Rows, error) {
				time.Sleep(time.Duration(int(b.Seq*7919)%spread) * time.Millisecond) // the bubble's clock
				return b, nil
			}))
			edge = Then(r, "batch", 1, edge, Rebatch(policies[0]))
			edge = Then(r, "drop", 1, edge, Parallel(2, ordered, func(_ context.Context, b *Rows) (*Rows, error) {
				if b.Rows%drops == 0 { // as a filter does, of which nothing is left
					time.Sleep(time.Millisecond) // the bubble's clock
				}
				return b, nil
			}))
			edge = Then(r, "batch again", 1, edge, Rebatch(policies[1]))
			To(r, "sink", edge, s.write)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.commits(ctx, l, every)
			}()
			death := time.AfterFunc(dies, func() { r.Stop(errors.New("killed")) })
			err := r.Wait()
			death.Stop()
			if err == nil {
				if err := l.CutWait(ctx); err != nil {
					wrong = err.Error()
				}
				synctest.Wait()
			}
			cancel()
			<-done

			want := 0
			if s.pos != "" {
				want, _ = strconv.Atoi(s.pos)
			}
			slices.Sort(s.committed)
			if len(s.committed) != want {
				wrong = fmt.Sprintf("%d rows committed, and the frontier is %d (%v)", len(s.committed), want, err)
			}
			for i, v := range s.committed {
				if v != int64(i) {
					wrong = fmt.Sprintf("row %d committed at place %d: lost or twice", v, i)
					break
				}
			}
			total := 0
			for _, n := range sizes {
				total += n
			}
			if err == nil && want != total {
				wrong = fmt.Sprintf("the run ended, and of %d rows %d are committed: %v", total, want, s.open)
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

func TestEpochsEndWhileTheSourceIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(0, 1)
		s := &epochSink{open: map[uint64][]int64{}}
		r := NewRun(t.Context())
		silent := func(soft, hard context.Context, out chan<- *Rows) error {
			if err := numberedReads(l, []int{7}, 0)(soft, hard, out); err != nil {
				return err
			}
			<-soft.Done()
			return nil
		}
		edge := Then(r, "batch", 1, From(r, "src", 1, silent), Rebatch(Policy{Rows: 100}))
		To(r, "sink", edge, s.write)
		go s.commits(t.Context(), l, time.Second)
		time.Sleep(3 * time.Second) // the bubble's clock
		s.mu.Lock()
		if s.pos != "7" || len(s.committed) != 7 {
			t.Errorf("after three seconds %q is committed: the batch waits for rows that its epoch cannot have", s.pos)
		}
		s.mu.Unlock()
		r.Drain()
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNumbersOfBatchesGoOnAfterARestart(t *testing.T) {
	env := (&Env{}).For("batch")
	f := func(epochs []uint64, first uint64) (seqs []uint64) {
		t.Helper()
		b := &Batcher{Rows: 10}
		stage, err := b.Build(env)
		if err != nil {
			t.Fatal(err)
		}
		r := NewRun(t.Context())
		edge := Then(r, "batch", 1, From(r, "src", 1, reads(NewLedger(0, first), []int{25, 5, 25}, epochs, nil)), stage)
		To(r, "sink", edge, func(ctx context.Context, in <-chan *Rows) error {
			for b := range in {
				seqs = append(seqs, b.Seq)
				b.Settle(nil)
			}
			return nil
		})
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		return seqs
	}
	if got := f([]uint64{1, 1, 2}, 1); !slices.Equal(got, []uint64{0, 1, 2, 3, 4, 5}) {
		t.Fatal(got)
	}
	notes := env.Notes(1)
	env = (&Env{}).For("batch")
	env.Remember(notes)
	if got := f([]uint64{2, 2, 2}, 2); got[0] != 3 {
		t.Errorf("after epoch 1 with batches 0 to 2 comes number %d", got[0])
	}
}

// TestNotesOfTheFinalEpochAreNoneOfTheOthers: what stands behind a blocking stage
// begins anew after a crash, and would draw other random numbers if it did not
// number its batches from the first.
func TestNotesOfTheFinalEpochAreNoneOfTheOthers(t *testing.T) {
	env := (&Env{}).For("batch")
	if err := env.Keep(FinalEpoch, 17); err != nil {
		t.Fatal(err)
	}
	if notes := env.Notes(3); len(notes) != 0 {
		t.Errorf("epoch 3 has the notes %s", notes)
	}
	if note := string(env.Notes(FinalEpoch)["batch"]); note != "17" {
		t.Errorf("the final epoch has the note %q", note)
	}
}
