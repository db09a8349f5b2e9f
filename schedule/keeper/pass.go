package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// met reports whether what a run by the clock comes after has ended well: of each
// schedule the newest run for the same time or before. failed says why it never will.
func (k *Keeper) met(run *schedule.Run) (ok bool, failed string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[run.Schedule]
	if e == nil || !inLine(run) || run.Cause == schedule.ByOther {
		return true, ""
	}
	ok = true
	for _, before := range e.Timing.After {
		last, known := k.before(before, run.Scheduled)
		switch {
		case !known, !last.State.Final():
			ok = false
		case last.State != schedule.Complete:
			return false, fmt.Sprintf("it comes after %s, whose run of %s is %s", before, stamp(last.Scheduled), last.State)
		}
	}
	return ok, ""
}

// before is the newest run of a schedule that is not for a later time. known is false
// where there should be a newer one, which is about to be made. k.mu is held.
func (k *Keeper) before(name string, at time.Time) (last *schedule.Run, known bool) {
	for _, r := range k.mirror.of[name] {
		if !r.Scheduled.After(at) && (last == nil || older(last, &r.Run) < 0) {
			last = &r.Run
		}
	}
	e := k.entries[name]
	if last == nil || e == nil {
		return last, last != nil
	}
	if e.plan.Clocked() {
		return last, true
	}
	for _, parent := range e.Timing.After {
		p, known := k.before(parent, at)
		if !known || !p.State.Final() || p.Scheduled.After(last.Scheduled) {
			return last, false
		}
	}
	return last, true
}

// pass does what comes after the end of runs: schedules that come after theirs, and
// telling those who want to know. It is done at least once.
func (r *reign) pass(ctx context.Context) error {
	for _, run := range r.all(func(run *schedule.Run) bool { return run.State.Final() && !run.Passed }) {
		if err := r.release(ctx, &run); err != nil {
			return err
		}
		if err := r.tellOf(ctx, &run); err != nil {
			return err
		}
		hit("passed")
		err := r.changeRun(ctx, &run, func(now *schedule.Run) error { now.Passed = true; return nil })
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
		delete(r.told, Failure+run.ID)
		delete(r.told, Recovery+run.ID)
	}
	return nil
}

// release makes the runs of schedules that come after this one and have no times of their own.
func (r *reign) release(ctx context.Context, run *schedule.Run) error {
	r.mu.Lock()
	var made []*schedule.Run
	for _, name := range r.order {
		e := r.entries[name]
		t := r.mirror.timers[name]
		if e == nil || t == nil || t.Paused || e.plan.Clocked() || !slices.Contains(e.Timing.After, run.Schedule) || !e.plan.Covers(run.Scheduled) {
			continue
		}
		if next := r.following(e, run); next != nil {
			made = append(made, next)
		}
	}
	r.mu.Unlock()
	return r.create(ctx, made...)
}

// following is the run that comes after run; nil where others are still to end. k.mu is held.
func (r *reign) following(e *entry, run *schedule.Run) *schedule.Run {
	ids := []string{"after", e.Name}
	var state schedule.State
	for _, before := range e.Timing.After {
		var last *schedule.Run
		for _, other := range r.mirror.of[before] {
			if other.Scheduled.Equal(run.Scheduled) && (last == nil || older(last, &other.Run) < 0) {
				last = &other.Run
			}
		}
		if last != nil {
			ids = append(ids, last.ID)
		}
		if last == nil || !last.State.Final() {
			state = schedule.Waiting
		}
	}
	now := r.now()
	next := &schedule.Run{ID: idFor(run.Scheduled, ids...), Schedule: e.Name, Scheduled: run.Scheduled, Cause: schedule.ByOther, By: run.By, State: schedule.Waiting, Created: now}
	switch {
	case run.State == schedule.Missed:
		return nil
	case run.State != schedule.Complete:
		next.ID = idFor(run.Scheduled, "after", e.Name, run.ID)
		next.State, next.Ended = schedule.Skipped, now
		next.Reason = fmt.Sprintf("it comes after %s, whose run of %s is %s", run.Schedule, stamp(run.Scheduled), run.State)
		return next
	case state == schedule.Waiting:
		return nil
	}
	for _, before := range e.Timing.After {
		ok := slices.ContainsFunc(ids[2:], func(id string) bool {
			other := r.mirror.runs[id]
			return other != nil && other.Schedule == before && other.State == schedule.Complete
		})
		if !ok {
			return nil // it was skipped when that one ended
		}
	}
	return next
}

// tellOf tells of failures and recoveries, and keeps which of them was last.
func (r *reign) tellOf(ctx context.Context, run *schedule.Run) error {
	t, e := r.timerOf(run.Schedule)
	if t == nil {
		return nil
	}
	failed := run.State.Failed()
	if failed {
		r.notify(Failure, e, run)
	} else if run.State == schedule.Complete && t.Failing {
		r.notify(Recovery, e, run)
	}
	if run.State != schedule.Complete && !failed || t.Failing == failed {
		return nil
	}
	return r.changeTimer(ctx, run.Schedule, func(t *timer) error { t.Failing = failed; return nil })
}

// notify tells of a run, once in a reign: that it is told is written down after it, and
// where that fails the run comes again, each second.
func (r *reign) notify(kind string, e *entry, run *schedule.Run) {
	if r.o.Notify == nil || e == nil || r.told[kind+run.ID] {
		return
	}
	s, err := r.Get(e.Name)
	if err != nil {
		return
	}
	r.told[kind+run.ID] = true
	r.o.Notify(Event{Kind: kind, Schedule: s, Run: *run})
}

// late tells of runs that have not ended so long after their time, and marks them: at
// least once, as pass does.
func (r *reign) late(ctx context.Context) error {
	now := r.now()
	for _, run := range r.all(func(run *schedule.Run) bool { return !run.State.Final() && !run.Late && run.Range == "" }) {
		_, e := r.timerOf(run.Schedule)
		if e == nil || e.Timing.LateAfter <= 0 || run.Cause == schedule.ByHand || now.Sub(run.Scheduled) < time.Duration(e.Timing.LateAfter) {
			continue
		}
		run.Late = true
		r.notify(Late, e, &run)
		marked := false
		err := r.changeRun(ctx, &run, func(now *schedule.Run) error {
			if now.Late || now.State.Final() {
				return errUnchanged
			}
			now.Late, marked = true, true
			return nil
		})
		if err != nil {
			return err
		}
		if marked {
			delete(r.told, Late+run.ID)
		}
	}
	return nil
}

// settled is how long the record of a run stays at least after its end: a leader that
// does not know yet that it is none must not decide its time again.
const settled = 2 * time.Minute

// prune removes the history that is not kept.
func (r *reign) prune(ctx context.Context) error {
	now := r.now()
	if now.Sub(r.pruned) < pruneEach && !now.Before(r.pruned) {
		return nil
	}
	r.pruned = now
	r.mu.Lock()
	timers := make([]*timer, 0, len(r.mirror.timers))
	for _, t := range r.mirror.timers {
		timers = append(timers, t.clone())
	}
	r.mu.Unlock()
	for _, t := range timers {
		ended := r.runsOf(t.Name, func(run *schedule.Run) bool { return run.State.Final() && run.Passed })
		slices.SortFunc(ended, func(a, b schedule.Run) int { return strings.Compare(b.ID, a.ID) })
		slices.SortStableFunc(ended, func(a, b schedule.Run) int { return b.Created.Compare(a.Created) })
		var ws []broker.Write
		for i, run := range ended {
			age := now.Sub(run.Ended)
			old := t.Keep.Age > 0 && age > time.Duration(t.Keep.Age)
			if (i >= t.Keep.Runs || old) && age > settled {
				if run.Attempt > 0 {
					if err := r.broker.DropLogs(ctx, run.ID, 0); err != nil {
						return err
					}
				}
				ws = append(ws, broker.Write{Subject: runSubject(&run), Delete: true, Any: true})
			}
		}
		if t.Gone && len(ws) == len(r.runsOf(t.Name, func(*schedule.Run) bool { return true })) {
			ws = append(ws, broker.Write{Subject: timerSubject(t.Name), Delete: true, Any: true})
		}
		seqs, errs := r.broker.WriteAll(ctx, ws)
		for i, err := range errs {
			if err != nil {
				return err
			}
			r.apply(broker.Record{Subject: ws[i].Subject, Seq: seqs[i]})
		}
	}
	return nil
}
