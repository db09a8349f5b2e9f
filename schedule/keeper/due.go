package keeper

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/schedule"
)

// maxMissed is how many of the times that were missed get a record each.
const maxMissed = 20

// decide finds out which times of a schedule have come, and makes runs of them.
//
// First come the records of the runs, then the cursor: a leader that dies between leaves
// times that the next one decides again, and whose runs it finds there already.
func (r *reign) decide(ctx context.Context, name string) error {
	t, e := r.timerOf(name)
	if e == nil {
		return nil // by Set, in the meantime
	}
	now := r.now()
	if t == nil || differs(t, e) {
		if err := r.adopt(ctx, e, now); err != nil {
			return err
		}
		if t, _ = r.timerOf(name); t == nil {
			return nil
		}
	}
	if t.Paused || !e.plan.Clocked() {
		return nil
	}
	looked, before := r.looked[name]
	continuous := before && now.Sub(looked) <= punctual
	next := e.plan.Next(t.Cursor)
	if next.IsZero() || next.After(now) {
		if ahead := t.Cursor.Sub(now); ahead > punctual && (!before || looked.After(now)) {
			r.log.Warn("schedules: the clock was set back, and nothing is due before the time until which it is decided: pause and resume the schedule if it is to begin now",
				"schedule", name, "until", t.Cursor, "clock", now)
		}
		r.looked[name] = now
		return nil
	}
	var runs []*schedule.Run
	var made *Range
	cursor := next
	if continuous {
		for at := range e.plan.Between(next, now.Add(time.Nanosecond)) {
			runs, cursor = append(runs, e.due(at, schedule.ByClock, now)), at
		}
	} else {
		cursor = e.plan.Last(next, now)
		runs, made = e.missed(next, cursor, now)
	}
	if err := r.create(ctx, runs...); err != nil {
		return err
	}
	hit("fire-cursor")
	err := r.changeTimer(ctx, name, func(t *timer) error {
		if !t.Cursor.Before(cursor) {
			return errUnchanged
		}
		t.Cursor = cursor
		if made != nil {
			t.Ranges = append(t.Ranges, *made)
		}
		return nil
	})
	if err != nil { // what cannot be written down for long is missed
		return err
	}
	r.looked[name] = now
	switch {
	case made != nil:
		r.log.Info("schedules: times were missed, and are made up for", "schedule", name, "from", next, "to", cursor)
	case slices.ContainsFunc(runs, func(run *schedule.Run) bool { return run.State == schedule.Missed }):
		r.log.Warn("schedules: times were missed", "schedule", name, "from", next, "to", cursor, "catch_up", e.Timing.CatchUp)
	}
	return nil
}

// due is the run of a time that has come.
func (e *entry) due(at time.Time, cause schedule.Cause, now time.Time) *schedule.Run {
	run := &schedule.Run{
		ID: clockID(e.Name, at), Schedule: e.Name, Scheduled: at.UTC(), Cause: cause, State: schedule.Waiting, Created: now,
	}
	if d := e.plan.Delay(e.Name); d > 0 && cause == schedule.ByClock {
		run.NotBefore = at.UTC().Add(d)
	}
	return run
}

// missed says what becomes of the times from first to last, which nobody has looked at.
// The last one may just have come.
func (e *entry) missed(first, last, now time.Time) (runs []*schedule.Run, made *Range) {
	to := last.Add(time.Nanosecond)
	fresh := now.Sub(last) <= punctual
	switch {
	case fresh:
		runs, to = append(runs, e.due(last, schedule.ByClock, now)), last
	case e.Timing.CatchUp == "last":
		runs, to = append(runs, e.due(last, schedule.ByCatchUp, now)), last
	}
	if !first.Before(to) {
		return runs, nil
	}
	if e.Timing.CatchUp == "all" {
		made = e.span(schedule.ByCatchUp, first, to)
		made.ID = idFor(now, "catch_up", e.Name, first.String(), to.String())
		return runs, made
	}
	reason := "no server was up, and catch_up is none"
	if e.Timing.CatchUp != "none" {
		reason = "no server was up, and catch_up makes up for the last one only"
	}
	n := 0
	for at := to; n < min(maxMissed, e.Timing.Keep.Runs); n++ {
		if at = e.plan.Last(first, at.Add(-time.Nanosecond)); at.IsZero() {
			break
		}
		run := e.due(at, schedule.ByClock, now)
		run.State, run.Reason, run.Ended, run.Passed, run.NotBefore = schedule.Missed, reason, now, true, time.Time{}
		if n == maxMissed-1 && at.After(first) {
			run.Reason += fmt.Sprintf("; there were more, from %s on, of which nothing is kept", first.Format(time.RFC3339))
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// differs reports whether the record of a schedule is not that of its configuration.
func differs(t *timer, e *entry) bool {
	return t.Gone || t.Definition != definition(&e.Timing) || t.ConfigPaused != e.Timing.Paused ||
		t.Kind != e.Kind || t.From != e.From || t.Owner != e.Owner || t.Keep != e.Timing.Keep
}

// adopt writes down how a schedule is configured. Times before it was are none that were
// missed.
func (r *reign) adopt(ctx context.Context, e *entry, now time.Time) error {
	return r.changeTimer(ctx, e.Name, func(t *timer) error {
		if d := definition(&e.Timing); t.Definition != d || t.Gone || t.Cursor.IsZero() {
			t.Definition, t.Cursor = d, now
		}
		if t.ConfigPaused != e.Timing.Paused {
			t.ConfigPaused, t.Paused, t.PausedBy, t.Cursor = e.Timing.Paused, e.Timing.Paused, "", now
		}
		t.Kind, t.From, t.Owner, t.Keep, t.Gone = e.Kind, e.From, e.Owner, e.Timing.Keep, false
		return nil
	})
}

// advance begins the next run of each range, when the one before has ended.
func (r *reign) advance(ctx context.Context) error {
	r.mu.Lock()
	order := r.order
	r.mu.Unlock()
	for _, name := range order {
		t, e := r.timerOf(name)
		if t == nil || e == nil {
			continue
		}
		for i := range t.Ranges {
			if t.Paused && t.Ranges[i].Cause != schedule.ByBackfill { // which somebody has asked for
				continue
			}
			if err := r.advanceRange(ctx, e, &t.Ranges[i]); err != nil {
				return fmt.Errorf("schedule %s: %s: %w", name, t.Ranges[i].Cause, err)
			}
		}
	}
	return nil
}

// span is a range of the times of a schedule, as it is now.
func (e *entry) span(cause schedule.Cause, from, to time.Time) *Range {
	t := &e.Timing
	return &Range{Cause: cause, From: from.UTC(), To: to.UTC(), Cursor: from.UTC(), Cron: t.Cron, TimeZone: t.TimeZone, Start: t.Start}
}

// plan is when the times of a range are: as those of its schedule were when it was made.
func (g *Range) plan(e *entry) *schedule.Plan {
	t := schedule.Timing{Cron: g.Cron, TimeZone: g.TimeZone, Start: g.Start, End: e.Timing.End}
	if g.Cron == "" || definition(&t) == definition(&e.Timing) {
		return e.plan
	}
	p, err := t.Compile()
	if err != nil { // the end may be before what was the start
		return e.plan
	}
	return p
}

// runID is the id of the run of a time of a backfill, which there is once.
func (g *Range) runID(at time.Time) string {
	made := time.Time{}
	if id, err := ulid.ParseStrict(g.ID); err == nil {
		made = ulid.Time(id.Time())
	}
	return idFor(made, "backfill", g.ID, at.UTC().Format(time.RFC3339))
}

func (r *reign) advanceRange(ctx context.Context, e *entry, g *Range) error {
	open := r.runsOf(e.Name, func(run *schedule.Run) bool { return run.Range == g.ID && !run.State.Final() })
	if len(open) > 0 {
		return nil
	}
	at := g.plan(e).Next(g.Cursor.Add(-time.Nanosecond))
	done := at.IsZero() || !at.Before(g.To)
	if !done {
		run := e.due(at, g.Cause, r.now())
		if run.By, run.Range = g.By, g.ID; g.Cause == schedule.ByBackfill {
			run.ID = g.runID(at)
		}
		if err := r.create(ctx, run); err != nil {
			return err
		}
	}
	hit("range-cursor")
	return r.changeTimer(ctx, e.Name, func(t *timer) error {
		for i := range t.Ranges {
			switch {
			case t.Ranges[i].ID != g.ID:
			case done:
				t.Ranges = append(t.Ranges[:i], t.Ranges[i+1:]...)
				return nil
			case t.Ranges[i].Cursor.After(at):
				return errUnchanged
			default:
				t.Ranges[i].Cursor = at.Add(time.Second).UTC()
				return nil
			}
		}
		return errUnchanged
	})
}
