package server

import (
	"testing"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

func TestJobsInAWord(t *testing.T) {
	type counts = map[tasks.State]int64
	f := func(n, dropped int, have counts, want string, done bool) {
		t.Helper()
		if got, over := summary(&index.JobRow{N: n, Dropped: dropped, Counts: have}); got != want || over != done {
			t.Errorf("%s, %v, want %s, %v", got, over, want, done)
		}
	}
	f(3, 0, nil, "init", false)
	f(3, 0, counts{tasks.Pending: 3}, "init", false)
	f(3, 0, counts{tasks.Pending: 2, tasks.Running: 1}, "running", false)
	f(3, 0, counts{tasks.Complete: 3}, "finish", true)
	f(3, 0, counts{tasks.Complete: 2, tasks.Moved: 1}, "finish", true)
	f(3, 0, counts{tasks.Complete: 2, tasks.Cancelled: 1}, "canceled", true)
	f(3, 0, counts{tasks.Complete: 1, tasks.Cancelled: 1, tasks.Died: 1}, "failed", true)
	// Of some there is no record yet, or none any more.
	f(3, 0, counts{tasks.Complete: 2}, "running", false)
	f(3, 1, counts{tasks.Complete: 2}, "finish", true)
	f(3, 1, counts{tasks.Complete: 1}, "running", false)
	f(3, 1, counts{tasks.Complete: 3}, "finish", true) // deleted in a moment
}
