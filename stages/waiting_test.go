package stages

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Waits and work that are under way count already: what hangs is not busy, what works is.
func TestTimeUnderWayIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRun(t.Context())
		in := From(r, "source", 1, func(_, hard context.Context, out chan<- *Batch[int]) error {
			if err := Send(hard, out, &Batch[int]{Value: 1, Rows: 1}); err != nil {
				return err
			}
			defer Waits(hard)()
			time.Sleep(time.Hour) // for a commit, say
			return nil
		})
		mid := Then(r, "slow", 1, in, Parallel(2, true, func(_ context.Context, b *Batch[int]) (*Batch[int], error) {
			time.Sleep(30 * time.Minute)
			return b, nil
		}))
		To(r, "sink", mid, func(ctx context.Context, in <-chan *Batch[int]) error {
			for {
				if _, ok, err := Receive(ctx, in); !ok || err != nil {
					return err
				}
			}
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		want := []Reading{{BlockedOut: 10 * time.Minute}, {Busy: 10 * time.Minute, BlockedIn: 10 * time.Minute}, {BlockedIn: 10 * time.Minute}}
		for i, m := range r.Meters() {
			got := m.Read()
			if got.Busy != want[i].Busy || got.BlockedIn != want[i].BlockedIn || got.BlockedOut != want[i].BlockedOut {
				t.Errorf("%s: busy %v, starved %v, blocked %v, want %v, %v, %v", got.Name, got.Busy, got.BlockedIn, got.BlockedOut, want[i].Busy, want[i].BlockedIn, want[i].BlockedOut)
			}
		}
		if qs := r.Queues(); len(qs) != 2 || qs[0].From != "source" || qs[0].To != "slow" || qs[1].From != "slow" || qs[1].To != "sink" || qs[0].Cap != 1 {
			t.Errorf("queues %+v", qs)
		}
		if err := r.Wait(); err != nil {
			t.Error(err)
		}
	})
}
