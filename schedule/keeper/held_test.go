package keeper

import (
	"errors"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
)

// TestHeld: the file of a schedule has an error when the server starts anew. What was
// under way waits until it is mended, and times that came meanwhile are made up for.
func TestHeld(t *testing.T) {
	gate := make(chan struct{})
	k, w := newKit(t), &work{do: until(gate)}
	e := minutely(w, func(t *schedule.Timing) { t.Overlap = "queue" })
	s := k.server("a", e)
	if _, err := s.Backfill(t.Context(), "job", midnight.Add(-3*time.Minute), midnight.Add(-30*time.Second), "bob"); err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "23:58 RUNNING")
	k.forward(time.Minute)
	k.await(s, "job", "23:58 RUNNING, 00:01 WAITING")
	s.Close()
	close(gate)

	s = k.server("b")
	other := named("other", &work{})
	if err := s.Set([]Entry{other}, "job"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader has looked", func() bool { at, _ := s.timerOf("other"); return at != nil })
	if got, err := s.Get("job"); err != nil || got.Gone || len(got.Backfills) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	var conflict *ConflictError
	if _, err := s.Trigger(t.Context(), "job", time.Time{}, "bob"); !errors.As(err, &conflict) {
		t.Errorf("%v", err)
	}
	if got := states(s, "job"); got != "23:58 RUNNING, 00:01 WAITING" {
		t.Errorf("held: %s", got)
	}
	k.forward(time.Minute)
	k.set(s, other, e)
	k.await(s, "job", "23:58 COMPLETE, 23:59 COMPLETE, 00:01 COMPLETE, 00:02 COMPLETE")

	// One that is cancelled does not wait for it.
	run := &schedule.Run{ID: newID(), Schedule: "job", Scheduled: midnight.Add(-time.Hour), State: schedule.Running, Created: midnight, Started: midnight, Attempt: 1, Server: "c"}
	if err := s.Set([]Entry{other}, "job"); err != nil {
		t.Fatal(err)
	}
	if err := s.create(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), run.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "23:00 DIED, 23:58 COMPLETE, 23:59 COMPLETE, 00:01 COMPLETE, 00:02 COMPLETE")
	k.set(s, other)
	eventually(t, "it is gone", func() bool { got, _ := s.Get("job"); return got.Gone })
}
