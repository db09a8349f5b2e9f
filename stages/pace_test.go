package stages

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

func TestPaceStepsAsideForRequests(t *testing.T) {
	for _, c := range []struct {
		beside       bool
		work, paused time.Duration
	}{
		{true, pieceOfWork - 1, 0},
		{true, pieceOfWork, pieceOfWork},
		{true, time.Millisecond, time.Millisecond},
		{true, time.Hour, longestPause},
		{false, time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &Pace{beside: func() bool { return c.beside }, since: time.Now()}
			for range 2 { // what has been paused for counts no more
				time.Sleep(c.work) // the bubble's time
				began := time.Now()
				p.Step()
				if got := time.Since(began); got != c.paused {
					t.Errorf("%+v: paused for %v", c, got)
				}
				if c.paused == 0 && c.work < pieceOfWork {
					break
				}
			}
		})
	}
}

func TestOnlyWorkThatNobodyWaitsForIsPaced(t *testing.T) {
	var none *Pace
	none.Step()
	for _, e := range []*Env{{}, {Interactive: true, Pool: new(rpool.Pool)}} {
		if e.Pace() != nil {
			t.Errorf("interactive %t: paced", e.Interactive)
		}
	}
	if e := (&Env{Pool: new(rpool.Pool)}); e.Pace() == nil {
		t.Error("a pipeline on a pool is not paced")
	}
}
