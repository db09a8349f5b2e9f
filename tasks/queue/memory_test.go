package queue

import (
	"testing"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestDeleteHoldsNoValues: what is deleted is held without its results, which may be
// more than memory has.
func TestDeleteHoldsNoValues(t *testing.T) {
	r := start(t, noChores)
	old := &tasks.Task{
		Job: newID(), N: 1, State: tasks.Complete, Attempt: 1, Result: tasks.Value{Data: make([]byte, tasks.MaxInline)},
		Warnings: []string{"w"}, Failure: &tasks.Failure{}, Past: make([]tasks.Attempt, tasks.MaxPast),
	}
	found, err := r.chains(within(t), []*tasks.Task{old})
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if got := found[0]; got.Result.Data != nil || got.Failure != nil || got.Past != nil || got.Warnings != nil || got.Attempt != 1 || got.ID() != old.ID() {
		t.Errorf("%+v", got)
	}
}
