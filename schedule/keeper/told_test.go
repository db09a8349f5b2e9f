package keeper

import (
	"context"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule"
)

// idle is a leader of the schedule job that does nothing by itself.
func (k *kit) idle(e Entry) *reign {
	k.t.Helper()
	s := k.server("a")
	entries, order, err := together([]Entry{e})
	if err != nil {
		k.t.Fatal(err)
	}
	s.mu.Lock()
	s.entries, s.order = entries, order
	s.mu.Unlock()
	r := &reign{Keeper: s, looked: map[string]time.Time{}, told: map[string]bool{}}
	if err := r.decide(k.t.Context(), e.Name); err != nil {
		k.t.Fatal(err)
	}
	return r
}

// TestARunThatEndsBeforeTheFailureBeforeItIsTold is a recovery, too.
func TestARunThatEndsBeforeTheFailureBeforeItIsTold(t *testing.T) {
	k := newKit(t)
	r := k.idle(minutely(&work{}))
	failed := &schedule.Run{ID: newID(), Schedule: "job", Scheduled: midnight.Add(-2 * time.Minute), State: schedule.Error, Created: midnight, Ended: midnight, Attempt: 1}
	next := &schedule.Run{ID: newID(), Schedule: "job", Scheduled: midnight.Add(-time.Minute), State: schedule.Waiting, Created: midnight}
	if err := r.create(t.Context(), failed, next); err != nil {
		t.Fatal(err)
	}
	if err := r.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.await(r.Keeper, "job", "23:58 ERROR, 23:59 COMPLETE")
	if err := r.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.Get("job"); got.Failing || k.told() != "failure 23:58, recovery 23:59" {
		t.Errorf("failing %t, told: %s", got.Failing, k.told())
	}
}

// TestWhatCannotBeWrittenDownIsToldOnce: the leader tells before it writes down that it
// has, and where it cannot write, as the disk is full, it tries again each second.
func TestWhatCannotBeWrittenDownIsToldOnce(t *testing.T) {
	k := newKit(t)
	r := k.idle(minutely(&work{}, func(t *schedule.Timing) { t.LateAfter = configs.Duration(time.Second) }))
	failed := &schedule.Run{ID: newID(), Schedule: "job", Scheduled: midnight.Add(-2 * time.Minute), State: schedule.Error, Created: midnight, Ended: midnight, Attempt: 1}
	late := &schedule.Run{ID: newID(), Schedule: "job", Scheduled: midnight.Add(-time.Minute), State: schedule.Waiting, Created: midnight}
	if err := r.create(t.Context(), failed, late); err != nil {
		t.Fatal(err)
	}
	cannot, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if r.pass(cannot) == nil || r.late(cannot) == nil {
			t.Fatal("it could be written")
		}
	}
	const want = "failure 23:58, late 23:59"
	if got := k.told(); got != want {
		t.Fatalf("told: %s; want %s", got, want)
	}
	for range 2 {
		if err := r.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.late(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.told(); got != want || len(r.told) > 0 {
		t.Errorf("told when it can be written: %s; kept %v", got, r.told)
	}
}
