package sources

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Files come in their order, whichever is open first; not more than the depth
// are open before their turn, and none stays open.
func TestAdvance(t *testing.T) {
	for _, depth := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			const files = 10
			var open atomic.Int64
			var dropped []int
			turn := make([]chan struct{}, files)
			for i := range turn {
				turn[i] = make(chan struct{})
			}
			broken := errors.New("broken")
			a := &advance[int]{end: files, depth: depth,
				open: func(i int) (int, error) {
					open.Add(1)
					<-turn[i]
					if i == 8 {
						return 0, broken
					}
					return i, nil
				},
				drop: func(i int) { dropped = append(dropped, i) },
			}
			go func() { // the last is open first
				for i := files - 1; i >= 0; i-- {
					close(turn[i])
				}
			}()
			for want := range 5 {
				if got, err := a.take(); got != want || err != nil {
					t.Fatalf("depth %d: got %d, %v, want %d", depth, got, err, want)
				}
				synctest.Wait()
				if n := int(open.Load()); n != want+1+depth {
					t.Errorf("depth %d: %d files were opened after %d were taken", depth, n, want+1)
				}
			}
			if depth == 3 {
				for want := 5; want < 8; want++ {
					if got, err := a.take(); got != want || err != nil {
						t.Fatalf("got %d, %v, want %d", got, err, want)
					}
				}
				if _, err := a.take(); err != broken {
					t.Errorf("error %v", err)
				}
			}
			a.close()
			if want := map[int][]int{1: {5}, 3: {9}}[depth]; !slices.Equal(dropped, want) {
				t.Errorf("depth %d: %v were dropped, want %v", depth, dropped, want)
			}
		})
	}
}
