package keeper

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

const (
	// punctual is how late the newest time of a schedule may be found out and still counts
	// as on time; for longer than this a leader must not have looked to have missed some.
	punctual = 30 * time.Second
	// lookAfter is how often the leader looks at what does not tell by itself: whether
	// other servers are still there, and clocks that were set.
	lookAfter = 5 * time.Second
	pruneEach = 30 * time.Second
)

// reign is the time of this server as the leader.
type reign struct {
	*Keeper
	looked map[string]time.Time // when it was last decided about a schedule
	told   map[string]bool      // kinds of events with ids of runs, which are told and not yet written down as such
	live   map[string]bool      // servers that were there
	liveAt time.Time
	pruned time.Time
}

// lead decides until ctx ends.
func (k *Keeper) lead(ctx context.Context) error {
	k.log.Debug("schedules: this server leads", "server", k.o.Server)
	r := &reign{Keeper: k, looked: map[string]time.Time{}, told: map[string]bool{}}
	fresh := false
	for ctx.Err() == nil {
		wait := time.Second
		err := error(nil)
		if !fresh {
			err = r.refresh(ctx)
			fresh = err == nil
		}
		if fresh {
			err = r.tick(ctx)
			wait = r.wait()
		}
		if err != nil && ctx.Err() == nil {
			k.log.Warn("schedules: the leader tries again in a second", "err", err)
			wait = time.Second
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-k.wake:
			if err != nil { // whatever woke it, not at once again
				select {
				case <-t.C:
				case <-ctx.Done():
				}
			}
		case <-ctx.Done():
		}
		t.Stop()
	}
	return nil
}

// refresh reads all records: what the leader before wrote last may not have come yet.
func (r *reign) refresh(ctx context.Context) error {
	for _, filter := range []string{timerPrefix + ">", runPrefix + ">"} {
		err := r.broker.Range(ctx, filter, func(rec broker.Record) error {
			r.apply(rec)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tick does all that is to be done now.
func (r *reign) tick(ctx context.Context) error {
	r.mu.Lock()
	set, order := r.set, r.order
	r.mu.Unlock()
	if !set {
		return nil
	}
	if err := r.forsake(ctx); err != nil {
		return err
	}
	for _, name := range order {
		if err := r.decide(ctx, name); err != nil {
			return fmt.Errorf("schedule %s: %w", name, err)
		}
	}
	for _, step := range []func(context.Context) error{r.pass, r.advance, r.takeOver, r.begin, r.late, r.prune} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forsake marks schedules that are not configured any more, and ends what of them waits.
func (r *reign) forsake(ctx context.Context) error {
	r.mu.Lock()
	var gone []string
	for name, t := range r.mirror.timers {
		if r.entries[name] == nil && !r.held[name] && !t.Gone {
			gone = append(gone, name)
		}
	}
	var waiting []*schedule.Run
	for _, run := range r.mirror.runs {
		if r.entries[run.Schedule] == nil && !r.held[run.Schedule] && (run.State == schedule.Waiting || run.State == schedule.Retrying) {
			waiting = append(waiting, &run.Run)
		}
	}
	r.mu.Unlock()
	for _, name := range gone {
		if err := r.changeTimer(ctx, name, func(t *timer) error { t.Gone, t.Ranges = true, nil; return nil }); err != nil {
			return err
		}
	}
	for _, run := range waiting {
		if err := r.end(ctx, run, schedule.Canceled, "its schedule is no longer configured"); err != nil {
			return err
		}
	}
	return nil
}

// end ends a run that does not run.
func (r *reign) end(ctx context.Context, run *schedule.Run, state schedule.State, reason string) error {
	return r.changeRun(ctx, run, func(now *schedule.Run) error {
		if now.State.Final() || now.State == schedule.Running && state != schedule.Died {
			return errUnchanged
		}
		now.State, now.Reason, now.Ended, now.Server = state, reason, r.now(), ""
		return nil
	})
}

// runsOf are copies of the runs of a schedule that keep says, oldest first.
func (k *Keeper) runsOf(name string, keep func(r *schedule.Run) bool) []schedule.Run {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []schedule.Run
	for _, r := range k.mirror.of[name] {
		if keep(&r.Run) {
			out = append(out, r.Run)
		}
	}
	slices.SortFunc(out, func(a, b schedule.Run) int { return older(&a, &b) })
	return out
}

// older orders runs by their time, then as they came to be.
func older(a, b *schedule.Run) int {
	return cmp.Or(a.Scheduled.Compare(b.Scheduled), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// all are copies of all runs that keep says.
func (k *Keeper) all(keep func(r *schedule.Run) bool) []schedule.Run {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []schedule.Run
	for _, r := range k.mirror.runs {
		if keep(&r.Run) {
			out = append(out, r.Run)
		}
	}
	slices.SortFunc(out, func(a, b schedule.Run) int { return older(&a, &b) })
	return out
}

// timerOf is a copy of the record of a schedule, and how it is configured; nil for none.
func (k *Keeper) timerOf(name string) (*timer, *entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.mirror.timers[name]
	if t != nil {
		t = t.clone()
	}
	return t, k.entries[name]
}

// wait is how long there is nothing to do, as far as is known now.
func (r *reign) wait() time.Duration {
	now := r.now()
	next := now.Add(lookAfter)
	at := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, e := range r.entries {
		if t := r.mirror.timers[name]; t != nil && !t.Paused && e.plan.Clocked() {
			at(e.plan.Next(t.Cursor))
		}
	}
	for _, run := range r.mirror.runs {
		if run.State == schedule.Waiting || run.State == schedule.Retrying {
			if run.NotBefore.After(now) {
				at(run.NotBefore)
			}
		}
	}
	return max(next.Sub(now), 0) + time.Millisecond
}
