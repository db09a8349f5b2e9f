package keeper

import (
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
)

// TestARangeHasTheTimesThatItWasMadeOf: a change of the expression makes no times in the
// past, and takes none away that are made up for.
func TestARangeHasTheTimesThatItWasMadeOf(t *testing.T) {
	gate := make(chan struct{}, 10)
	k, w := newKit(t), &work{do: until(gate)}
	e := minutely(w, func(t *schedule.Timing) { t.CatchUp = "all" })
	s := k.server("a", e)
	s.Close()
	k.forward(3*time.Minute + 40*time.Second) // 00:03:45
	s = k.server("b", e)
	k.await(s, "job", "00:01 RUNNING")
	e.Timing.Cron = "*/30 * * * *"
	k.set(s, e)
	for _, want := range []string{"00:01 COMPLETE, 00:02 RUNNING", "00:01 COMPLETE, 00:02 COMPLETE, 00:03 RUNNING", "00:01 COMPLETE, 00:02 COMPLETE, 00:03 COMPLETE"} {
		gate <- struct{}{}
		k.await(s, "job", want)
	}
	eventually(t, "the range is done", func() bool { got, _ := s.Get("job"); return len(got.Backfills) == 0 })
}

// TestARunOfABackfillThatWasCancelledDoesNotBegin, though the leader made it meanwhile.
func TestARunOfABackfillThatWasCancelledDoesNotBegin(t *testing.T) {
	k, w := newKit(t), &work{}
	s := k.server("a", minutely(w))
	run := &schedule.Run{ID: newID(), Schedule: "job", Scheduled: midnight, Cause: schedule.ByBackfill, State: schedule.Waiting, Created: midnight, Range: newID()}
	if err := s.create(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "00:00 CANCELLED")
	if w.began() != "" {
		t.Errorf("began: %s", w.began())
	}
}
