package keeper

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
)

func TestBackfillIsOldestFirstAndOneAtATime(t *testing.T) {
	gate := make(chan struct{}, 10)
	k, w := newKit(t), &work{do: until(gate)}
	s := k.server("a", minutely(w))
	g, err := s.Backfill(t.Context(), "job", midnight.Add(-3*time.Minute), midnight.Add(-30*time.Second), "bob")
	if err != nil || g.Times != 2 {
		t.Fatal(g, err)
	}
	k.await(s, "job", "23:58 RUNNING")
	k.forward(time.Minute) // a time by the clock is not skipped for it, and comes before the next of it
	k.await(s, "job", "23:58 RUNNING, 00:01 WAITING")
	gate <- struct{}{}
	k.await(s, "job", "23:58 COMPLETE, 23:59 WAITING, 00:01 RUNNING")
	gate <- struct{}{}
	k.await(s, "job", "23:58 COMPLETE, 23:59 RUNNING, 00:01 COMPLETE")
	gate <- struct{}{}
	k.await(s, "job", "23:58 COMPLETE, 23:59 COMPLETE, 00:01 COMPLETE")
	eventually(t, "it is done", func() bool { got, _ := s.Get("job"); return len(got.Backfills) == 0 })

	// The same again runs again; it can be cancelled as a whole.
	if g, err = s.Backfill(t.Context(), "job", midnight.Add(-3*time.Minute), midnight, "bob"); err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "23:58 COMPLETE, 23:58 RUNNING, 23:59 COMPLETE, 00:01 COMPLETE")
	if err := s.Cancel(t.Context(), g.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "23:58 COMPLETE, 23:58 CANCELLED, 23:59 COMPLETE, 00:01 COMPLETE")
	for why, span := range map[string][2]time.Time{
		"has no time from": {midnight, midnight.Add(time.Second)}, "more than 100000": {midnight.AddDate(-1, 0, 0), midnight},
	} {
		if _, err := s.Backfill(t.Context(), "job", span[0], span[1], "bob"); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %s", err, why)
		}
	}
}

// TestAfter: load comes after both of fetch and scan, by their times; report after load.
func TestAfter(t *testing.T) {
	gate := make(chan struct{})
	k, bad := newKit(t), false
	fetch, scan, load := &work{}, &work{do: func(ctx context.Context, r *schedule.Run) error {
		if bad {
			return errBroken
		}
		return until(gate)(ctx, r)
	}}, &work{}
	each := func(t *schedule.Timing) { t.Cron = "* * * * *" }
	after := func(names ...string) func(*schedule.Timing) { return func(t *schedule.Timing) { t.After = names } }
	s := k.server("a", named("fetch", fetch, each), named("scan", scan, each), named("load", load, after("fetch", "scan")), named("report", &work{}, after("load")),
		named("check", &work{}, each, after("report")))
	k.forward(time.Minute)
	k.await(s, "fetch", "00:01 COMPLETE")
	k.await(s, "scan", "00:01 RUNNING")
	k.await(s, "check", "00:01 WAITING") // by the clock, and after others
	if got := states(s, "load"); got != "" {
		t.Errorf("load: %s", got)
	}
	close(gate)
	k.await(s, "load", "00:01 COMPLETE")
	k.await(s, "report", "00:01 COMPLETE")
	k.await(s, "check", "00:01 COMPLETE")

	bad = true
	k.forward(time.Minute)
	k.await(s, "scan", "00:01 COMPLETE, 00:02 ERROR")
	k.await(s, "load", "00:01 COMPLETE, 00:02 SKIPPED")
	k.await(s, "report", "00:01 COMPLETE, 00:02 SKIPPED")
	k.await(s, "check", "00:01 COMPLETE, 00:02 SKIPPED")
	if run := s.Runs(Filter{Schedule: "load", Limit: 1})[0]; run.Reason != "it comes after scan, whose run of 2026-01-01T00:02:00Z is ERROR" {
		t.Errorf("%s", run.Reason)
	}

	// Who mends it has scan run again for that time, and what follows comes.
	bad = false
	if _, err := s.Trigger(t.Context(), "scan", midnight.Truncate(time.Minute).Add(2*time.Minute), "bob"); err != nil {
		t.Fatal(err)
	}
	k.await(s, "load", "00:01 COMPLETE, 00:02 SKIPPED, 00:02 COMPLETE")
	k.await(s, "report", "00:01 COMPLETE, 00:02 SKIPPED, 00:02 COMPLETE")
	eventually(t, "nothing is left to do", func() bool {
		return len(s.all(func(r *schedule.Run) bool { return !r.State.Final() || !r.Passed })) == 0
	})
}

func TestSetRefuses(t *testing.T) {
	k := newKit(t)
	s := k.server("a")
	after := func(name string, names ...string) Entry {
		return named(name, &work{}, func(t *schedule.Timing) { t.After = names })
	}
	for want, entries := range map[string][]Entry{
		"schedule a comes after itself, by after: [a b c a]":         {after("a", "b"), after("b", "c"), after("c", "a")},
		`schedule a: after names "z", and there is no such schedule`: {after("a", "z")},
		"there are two schedules job":                                {minutely(&work{}), minutely(&work{})},
		`"a b" cannot be the name of a schedule`:                     {named("a b", &work{})},
		"schedule a: cron: has 1 fields":                             {named("a", &work{}, func(t *schedule.Timing) { t.Cron = "x" })},
	} {
		if err := s.Set(entries); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestGone: a schedule that is not configured any more keeps its history, ends what
// waits, and lets what runs go on.
func TestGone(t *testing.T) {
	gate := make(chan struct{})
	k, w := newKit(t), &work{do: until(gate)}
	e := minutely(w, func(t *schedule.Timing) { t.Overlap, t.CatchUp = "queue", "all" })
	s := k.server("a", e)
	k.forward(time.Minute)
	k.await(s, "job", "00:01 RUNNING")
	k.forward(time.Minute)
	k.await(s, "job", "00:01 RUNNING, 00:02 WAITING")
	if err := s.Set(nil); err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "00:01 RUNNING, 00:02 CANCELLED")
	close(gate)
	k.await(s, "job", "00:01 COMPLETE, 00:02 CANCELLED")
	eventually(t, "it is gone", func() bool { got, err := s.Get("job"); return err == nil && got.Gone && got.Owner == "ann" })
	var conflict *ConflictError
	if _, err := s.Trigger(t.Context(), "job", time.Time{}, "bob"); !errors.As(err, &conflict) {
		t.Errorf("trigger: %v", err)
	}
	k.forward(time.Minute)
	k.set(s, e) // what came meanwhile was not missed
	k.forward(time.Minute)
	k.await(s, "job", "00:01 COMPLETE, 00:02 CANCELLED, 00:04 COMPLETE")
}

// TestHistoryIsKeptByCountAndAge, and what is gone goes with its last run.
func TestHistoryIsKeptByCountAndAge(t *testing.T) {
	k := newKit(t)
	s := k.server("a", minutely(&work{}, func(t *schedule.Timing) { t.Keep.Runs = 2 }))
	want := ""
	for _, at := range []string{"00:01", "00:02", "00:03", "00:04"} {
		k.forward(time.Minute)
		eventually(t, at, func() bool { return strings.Contains(states(s, "job"), at+" COMPLETE") })
	}
	k.await(s, "job", "00:02 COMPLETE, 00:03 COMPLETE, 00:04 COMPLETE") // 00:02 ended too short a while ago
	if err := s.Set(nil); err != nil {
		t.Fatal(err)
	}
	k.forward(10 * time.Minute)
	k.await(s, "job", "00:03 COMPLETE, 00:04 COMPLETE")
	k.forward(91 * 24 * time.Hour)
	k.await(s, "job", want)
	eventually(t, "nothing is left", func() bool { _, err := s.Get("job"); return errors.Is(err, ErrMissing) })
}
