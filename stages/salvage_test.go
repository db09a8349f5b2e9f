package stages

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/rpool"
)

var never = func(error) bool { return false }

// Every row comes back once and in order; with halvings enough, each bad row is
// alone, and no good row is lost.
func TestSalvageFindsTheBadRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.IntRange(1, 200).Draw(t, "rows")
		bad := map[int]bool{}
		for _, r := range rapid.SliceOfN(rapid.IntRange(0, rows-1), 0, 4).Draw(t, "bad") {
			bad[r] = true
		}
		halvings := rapid.IntRange(0, 60).Draw(t, "halvings")
		calls := 0
		pieces, err := salvage(rows, func(error) int { return halvings }, never, func(from, to int) (int, error) {
			calls++
			for r := from; r < to; r++ {
				if bad[r] {
					return 0, errors.New("bad")
				}
			}
			return to - from, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, p := range pieces {
			if p.from != at || p.to <= p.from {
				t.Fatalf("pieces %v", pieces)
			}
			at = p.to
			if p.whole != (p.err != nil && p.to-p.from > 1) {
				t.Fatalf("piece %+v", p)
			}
			if halvings >= 40 && p.whole {
				t.Fatalf("%d bad rows, and %d halvings left rows [%d, %d) whole", len(bad), halvings, p.from, p.to)
			}
		}
		if at != rows || calls > 1+2*halvings {
			t.Fatalf("%d of %d rows, %d calls for %d halvings", at, rows, calls, halvings)
		}
	})
}

// A timeout is not met again and again, also where another error came first.
func TestSalvageIsBriefAfterATimeout(t *testing.T) {
	c := &OnError{MaxHalvings: 16}
	f := func(first error, want int) {
		t.Helper()
		calls := 0
		_, err := salvage(1000, c.halvings, never, func(from, to int) (int, error) {
			calls++
			if calls == 1 {
				return 0, first
			}
			return 0, &rpool.TimeoutError{After: time.Second}
		})
		if err != nil || calls != want {
			t.Errorf("%v first: %d calls, want %d (%v)", first, calls, want, err)
		}
	}
	f(&rpool.TimeoutError{After: time.Second}, 3)
	f(errors.New("object not found"), 3)
}

func TestSalvageEndsAtAFatalError(t *testing.T) {
	broken := errors.New("the pool is closed")
	for at := 1; at <= 3; at++ {
		calls := 0
		_, err := salvage(8, func(error) int { return 16 }, func(err error) bool { return err == broken }, func(from, to int) (int, error) {
			if calls++; calls == at {
				return 0, broken
			}
			return 0, fmt.Errorf("bad rows %d-%d", from, to)
		})
		if err != broken || calls != at {
			t.Errorf("fatal at call %d: %v after %d calls", at, err, calls)
		}
	}
}
