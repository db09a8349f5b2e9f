//go:build unix

package stages

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

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
