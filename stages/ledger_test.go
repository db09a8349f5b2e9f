package stages

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

func TestTheFrontierWaitsForTheOldest(t *testing.T) {
	l := NewLedger(100, 0)
	var reads []*Origin
	for i := range 4 {
		o, _ := l.Open(t.Context(), strconv.Itoa(i), 0, 1)
		reads = append(reads, o)
	}
	f := func(i int, err error, want string) {
		t.Helper()
		reads[i].settle(err)
		if front, _ := l.Frontier(); front != want {
			t.Errorf("frontier %q, want %q", front, want)
		}
	}
	f(2, nil, "")
	f(1, nil, "")
	f(0, nil, "2")
	f(3, errors.New("lost"), "2") // a lost read is never passed
}

func TestOpenWaitsForBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(10, 0)
		first, _ := l.Open(t.Context(), "1", 0, 50) // alone, any size goes
		opened := make(chan *Origin)
		go func() {
			o, _ := l.Open(t.Context(), "2", 0, 4)
			opened <- o
		}()
		synctest.Wait()
		select {
		case <-opened:
			t.Fatal("opened beyond the limit")
		default:
		}
		first.settle(nil)
		(<-opened).settle(nil)
		if open, _ := l.Bytes(); open != 0 {
			t.Errorf("%d bytes open", open)
		}
	})
}

func TestOpenEndsWithItsContext(t *testing.T) {
	l := NewLedger(10, 0)
	l.Open(t.Context(), "1", 0, 10)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := l.Open(ctx, "2", 0, 1); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// The frontier is always the longest settled prefix, whatever the order of
// shares and settlements.
func TestFrontierIsThePrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLedger(0, 0)
		var shares []int // the read of each share still to be settled
		left := map[int]int{}
		var reads []*Origin
		for i := range rapid.IntRange(1, 20).Draw(t, "reads") {
			o, _ := l.Open(context.Background(), strconv.Itoa(i), 0, 1)
			reads = append(reads, o)
			for range rapid.IntRange(0, 3).Draw(t, "shares") {
				o.share()
				shares, left[i] = append(shares, i), left[i]+1
			}
			shares, left[i] = append(shares, i), left[i]+1
		}
		for _, read := range rapid.Permutation(shares).Draw(t, "order") {
			reads[read].settle(nil)
			left[read]--
			want := -1
			for want+1 < len(reads) && left[want+1] == 0 {
				want++
			}
			if front, _ := l.Frontier(); front != strconv.Itoa(want) && (front != "" || want >= 0) {
				t.Fatalf("frontier %s, want %d", front, want)
			}
		}
	})
}
