//go:build unix

package stages

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

// A batch that is too large for one message is halved until its parts are not.
func TestABatchThatIsTooLargeIsHalved(t *testing.T) {
	p, err := rpool.New(rpool.Options{Max: 1, MaxFrame: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	const rows = 4096 // 32 KiB of doubles, and 64 KiB with what comes back
	got, ledger, err := mapped(t, p, &rpool.Environment{Setup: functions, Dir: t.TempDir()}, Map{
		Fun: "twice", Rows: "same", Ordered: true,
		OnError: OnError{OnError: "dead_letter", MaxHalvings: 16, MaxAttempts: 1},
	}, rows, rows, func(r *Rejected) {
		t.Errorf("rows %d to %d: %v", r.First, r.First+r.Frame.NumRows(), r.Err)
	})
	if err != nil {
		t.Fatal(err)
	}
	y := whole(t, got).Column(1).(*array.Float64).Float64Values()
	if len(y) != rows || y[rows-1] != 2*(rows-1) {
		t.Errorf("%d rows came back", len(y))
	}
	if front, open := ledger.Frontier(); front != "4096" || open != 0 {
		t.Errorf("frontier %s, %d open", front, open)
	}
	if c := p.Stats().Total; c.Started != 1 {
		t.Errorf("%d workers were started for it", c.Started)
	}
}

// The limits of a queue are for those who wait for an answer: a map on the same
// pool waits for its turn, however long.
func TestMapOutlastsAQueueThatIsFullOrTakesLong(t *testing.T) {
	for _, c := range []struct {
		limits rpool.Options
		want   error
	}{
		{rpool.Options{Max: 1, QueueWait: 5 * time.Millisecond}, rpool.ErrQueueWait},
		{rpool.Options{Max: 1, QueueLength: 1}, rpool.ErrQueueFull},
	} {
		p, err := rpool.New(c.limits)
		if err != nil {
			t.Fatal(err)
		}
		env := &rpool.Environment{Setup: functions, Dir: t.TempDir()}
		if err := p.Warm(t.Context(), env, 1); err != nil {
			t.Fatal(err)
		}
		lease, err := p.Acquire(t.Context(), env, rpool.Interactive)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		var got []frame.Frame
		go func() {
			var err error
			got, _, err = mapped(t, p, env, Map{Fun: "twice", Rows: "same", Ordered: true, InFlight: 4}, 50, 5, nil)
			done <- err
		}()
		for p.Stats().Total.WaitingBulk == 0 {
			runtime.Gosched()
		}
		for range 3 { // as long as those of the map have been refused too
			if _, err := p.Acquire(t.Context(), env, rpool.Bulk); !errors.Is(err, c.want) {
				t.Fatalf("%v, and %v was wanted", err, c.want)
			}
		}
		lease.Release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if n := whole(t, got).NumRows(); n != 50 {
			t.Errorf("%d rows", n)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
