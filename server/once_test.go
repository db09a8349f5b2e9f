package server

import (
	"testing"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestAnEndCountsOnce: also where its record is written again, or read again.
func TestAnEndCountsOnce(t *testing.T) {
	o := newOnce()
	f := func(want bool, job string, n int, state tasks.State, rev uint64) {
		t.Helper()
		if got := o.first(&tasks.Task{Job: job, N: n, State: state, Rev: rev}); got != want {
			t.Errorf("%s.%d %s at %d: %v", job, n, state, rev, got)
		}
	}
	f(false, "a", 1, tasks.Running, 1)
	f(true, "a", 1, tasks.Complete, 2)
	f(true, "a", 2, tasks.Complete, 3)
	f(false, "a", 1, tasks.Complete, 4) // written again
	f(true, "b", 1, tasks.Impossible, 5)
	f(false, "b", 1, tasks.Deferred, 6) // what it depends on was retried
	f(true, "b", 1, tasks.Error, 7)
	for rev := range uint64(7) { // the index is made anew
		f(false, "c", int(rev), tasks.Complete, rev+1)
	}
	for n := range mostRemembered + 10 {
		f(true, "many", n, tasks.Complete, uint64(n)+8)
	}
	if len(o.known) != mostRemembered || len(o.ring) != mostRemembered {
		t.Errorf("%d are remembered, %d", len(o.known), len(o.ring))
	}
	f(false, "many", mostRemembered+9, tasks.Complete, mostRemembered+100)
}
