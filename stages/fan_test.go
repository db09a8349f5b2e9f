package stages

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAFanSettlesAReadWhenAllBranchesHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(0, 1)
		r := NewRun(t.Context())
		edges := Fan(r, "fan", 1, 3, From(r, "src", 1, ints(l, 20, 5, 0)))
		got := make([][]int, 3)
		for i, e := range edges {
			slow := Then(r, "slow", 1, e, Parallel(1, true, pass(func(int) time.Duration { return time.Duration(i) * time.Second })))
			To(r, "sink", slow, collect(&got[i]))
		}
		time.Sleep(9 * time.Second) // the bubble's clock
		if front, open := l.Frontier(); front != "20" || open == 0 {
			t.Errorf("after 9 s the frontier is %q with %d open; the slowest branch takes 2 s a batch", front, open)
		}
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		for i, rows := range got {
			if len(rows) != 100 || rows[99] != 99 {
				t.Errorf("branch %d: %d rows", i, len(rows))
			}
		}
		if front, open := l.Frontier(); front != "100" || open != 0 {
			t.Errorf("frontier %q, %d open", front, open)
		}
	})
}
