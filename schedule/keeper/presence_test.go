package keeper

import (
	"testing"

	"github.com/rpipe-dev/rpipe/schedule"
)

// TestARunThatItsServerHasNotGoesOn: the record of a run says that a server has it, which
// is there and does not, since the engine was away when it left it. Another server leads.
func TestARunThatItsServerHasNotGoesOn(t *testing.T) {
	t.Parallel() // it takes two looks, five seconds apart
	k, w := newKit(t), &work{}
	leads := k.server("a", minutely(w))
	k.server("b", minutely(w)).Abdicate()
	run := &schedule.Run{
		ID: newID(), Schedule: "job", Scheduled: midnight, Cause: schedule.ByHand, State: schedule.Running,
		Created: midnight, Started: midnight, Attempt: 1, Server: "b",
	}
	if err := leads.create(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	k.await(leads, "job", "00:00 COMPLETE")
	if w.began() != "1 00:00" {
		t.Errorf("began: %s", w.began())
	}
}
