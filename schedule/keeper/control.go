package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// configured is a schedule that can still be changed.
func (k *Keeper) configured(name string) (*entry, error) {
	t, e := k.timerOf(name)
	k.mu.Lock()
	held := k.held[name]
	k.mu.Unlock()
	switch {
	case e != nil:
		return e, nil
	case t != nil && held:
		return nil, &ConflictError{fmt.Sprintf("schedule %s cannot be run: its file, or that of one that it comes after, has an error", name)}
	case t != nil:
		return nil, &ConflictError{fmt.Sprintf("schedule %s is no longer configured: only its history is left", name)}
	}
	return nil, fmt.Errorf("schedule %q: %w", name, ErrMissing)
}

// Trigger has a schedule run now, beside those by the clock, for the scheduled time at;
// zero is now. It waits for a run under way to end, unless overlap is allow.
func (k *Keeper) Trigger(ctx context.Context, name string, at time.Time, by string) (schedule.Run, error) {
	return k.TriggerWith(ctx, name, at, by, nil)
}

// TriggerWith is Trigger with an input for the work.
func (k *Keeper) TriggerWith(ctx context.Context, name string, at time.Time, by string, input json.RawMessage) (schedule.Run, error) {
	if _, err := k.configured(name); err != nil {
		return schedule.Run{}, err
	}
	now := k.now()
	if at.IsZero() {
		at = now
	}
	run := &schedule.Run{
		ID: newID(), Schedule: name, Scheduled: at.UTC().Truncate(time.Second), Cause: schedule.ByHand, By: by,
		State: schedule.Waiting, Created: now, Input: input,
	}
	return *run, k.create(ctx, run)
}

// Pause has nothing due until Resume: times that come are passed over. Runs under way go
// on, and so do backfills; runs by hand are possible.
func (k *Keeper) Pause(ctx context.Context, name, by string) error {
	if _, err := k.configured(name); err != nil {
		return err
	}
	return k.changeTimer(ctx, name, func(t *timer) error {
		if t.Paused {
			return errUnchanged
		}
		t.Paused, t.PausedBy = true, by
		return nil
	})
}

// Resume ends a pause. What came meanwhile is not made up for.
func (k *Keeper) Resume(ctx context.Context, name, by string) error {
	if _, err := k.configured(name); err != nil {
		return err
	}
	return k.changeTimer(ctx, name, func(t *timer) error {
		if !t.Paused {
			return errUnchanged
		}
		t.Paused, t.PausedBy, t.Cursor = false, "", k.now()
		return nil
	})
}

// maxBackfill is how many times one backfill may have.
const maxBackfill = 100_000

// Backfill runs a schedule for its times from one on and before another, oldest first and
// one at a time, also for those that have run before.
func (k *Keeper) Backfill(ctx context.Context, name string, from, to time.Time, by string) (Range, error) {
	e, err := k.configured(name)
	if err != nil {
		return Range{}, err
	}
	if !e.plan.Clocked() {
		return Range{}, &ConflictError{fmt.Sprintf("schedule %s has no times of its own: backfill those that it comes after", name)}
	}
	n := 0
	for range e.plan.Between(from, to) {
		if n++; n > maxBackfill {
			return Range{}, &ConflictError{fmt.Sprintf("there are more than %d times from %s to %s: ask for fewer", maxBackfill, stamp(from), stamp(to))}
		}
	}
	if n == 0 {
		return Range{}, &ConflictError{fmt.Sprintf("schedule %s has no time from %s on and before %s", name, stamp(from), stamp(to))}
	}
	g := *e.span(schedule.ByBackfill, from, to)
	g.ID, g.By, g.Times = newID(), by, n
	return g, k.changeTimer(ctx, name, func(t *timer) error {
		if len(t.Ranges) >= maxRanges {
			return &ConflictError{fmt.Sprintf("schedule %s has %d backfills under way: wait for one, or cancel it", name, len(t.Ranges))}
		}
		t.Ranges = append(t.Ranges, g)
		return nil
	})
}

// maxRanges is how many backfills of a schedule there may be at a time.
const maxRanges = 20

// Cancel ends a run, also one that has not begun; or, by the id of a Range, a backfill
// with the run of it that is under way.
func (k *Keeper) Cancel(ctx context.Context, id, by string) error {
	run, err := k.find(id)
	if err == nil {
		if run.State.Final() {
			return &ConflictError{fmt.Sprintf("run %s has ended: it is %s", id, run.State)}
		}
		return k.stopRun(ctx, &run, by)
	}
	name, ok := k.rangeOf(id)
	if !ok {
		return err
	}
	err = k.changeTimer(ctx, name, func(t *timer) error {
		for i := range t.Ranges {
			if t.Ranges[i].ID == id {
				t.Ranges = append(t.Ranges[:i], t.Ranges[i+1:]...)
				return nil
			}
		}
		return errUnchanged
	})
	if err != nil {
		return err
	}
	for _, run := range k.runsOf(name, func(r *schedule.Run) bool { return r.Range == id && !r.State.Final() }) {
		if err := k.stopRun(ctx, &run, by); err != nil {
			return err
		}
	}
	return nil
}

// ScheduleOf is the name of the schedule that a run, or a Range under way, is of.
func (k *Keeper) ScheduleOf(id string) (name string, ok bool) {
	if run, err := k.find(id); err == nil {
		return run.Schedule, true
	}
	return k.rangeOf(id)
}

// rangeOf is the schedule that has a range.
func (k *Keeper) rangeOf(id string) (name string, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, t := range k.mirror.timers {
		for _, g := range t.Ranges {
			if g.ID == id {
				return name, true
			}
		}
	}
	return "", false
}

// stopRun ends a run that waits, and asks the server that runs it to.
func (k *Keeper) stopRun(ctx context.Context, run *schedule.Run, by string) error {
	return k.changeRun(ctx, run, func(now *schedule.Run) error {
		switch {
		case now.State.Final(), now.Stop != "":
			return errUnchanged
		case now.State == schedule.Running:
			now.Stop = by
		default:
			now.State, now.Stop, now.Reason, now.Ended, now.Server = schedule.Canceled, by, "by "+by, k.now(), ""
		}
		return nil
	})
}

// find is a run by its id.
func (k *Keeper) find(id string) (schedule.Run, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := ulid.ParseStrict(id); err == nil && k.mirror.runs[id] != nil {
		return k.mirror.runs[id].Run, nil
	}
	return schedule.Run{}, fmt.Errorf("run %q: %w", id, ErrMissing)
}

// Log calls f with the messages of a run's log, each a tasks.Told in JSON, after sequence number after, in order; where
// follow is set also with those that come, until the run has ended.
func (k *Keeper) Log(ctx context.Context, id string, after uint64, follow bool, f func(seq uint64, t time.Time, data []byte) error) error {
	if _, err := k.find(id); err != nil {
		return err
	}
	read := func(seq uint64, t time.Time, data []byte) error {
		after = seq
		return f(seq, t, data)
	}
	if !follow {
		return k.broker.ReadLog(ctx, id, 0, after, read)
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.awaitEnd(following, id)
		stop()
	}()
	err := k.broker.FollowLog(following, id, 0, after, read)
	over := following.Err() != nil && ctx.Err() == nil
	stop()
	<-ended
	if over { // what was written last
		return k.broker.ReadLog(ctx, id, 0, after, read)
	}
	return err
}

// logRest is how long a log is followed after the end of its run, whose last line comes
// a moment later.
const logRest = 300 * time.Millisecond

// awaitEnd returns when a run has ended, or is no more.
func (k *Keeper) awaitEnd(ctx context.Context, id string) {
	t := time.NewTicker(logRest)
	defer t.Stop()
	for over := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if over {
			return
		}
		run, err := k.find(id)
		over = err != nil || run.State.Final()
	}
}

// full reads the whole record of a run.
func (k *Keeper) full(ctx context.Context, r *schedule.Run) (broker.Record, error) {
	return k.broker.Get(ctx, runSubject(r))
}
