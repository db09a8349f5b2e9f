package keeper

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/schedule"
)

// hit is a place where a crash test may kill the process; tests of this package have
// another one.
var hit = failpoint.Hit

// begin starts what waits and may run now, and skips what may not any more.
func (r *reign) begin(ctx context.Context) error {
	r.mu.Lock()
	order := r.order
	r.mu.Unlock()
	for _, name := range order {
		open := r.runsOf(name, func(run *schedule.Run) bool { return !run.State.Final() })
		if len(open) == 0 {
			continue
		}
		t, e := r.timerOf(name)
		if t == nil || e == nil {
			continue
		}
		s := &standing{reign: r, t: t, e: e, now: r.now()}
		if err := s.settle(ctx, open); err != nil {
			return fmt.Errorf("schedule %s: %w", name, err)
		}
	}
	return nil
}

// standing is how the runs of one schedule stand to each other.
type standing struct {
	*reign
	t   *timer
	e   *entry
	now time.Time

	active  []schedule.Run // under way, or about to be tried again
	waiting []schedule.Run // before the one that is looked at, by the clock or after others
}

// inLine reports whether a run comes by itself, so that overlap decides about it. Runs of
// ranges and by hand wait for their turn.
func inLine(r *schedule.Run) bool {
	return r.Range == "" && r.Cause != schedule.ByHand
}

// settle looks at the runs of a schedule that have not ended, oldest first.
func (s *standing) settle(ctx context.Context, open []schedule.Run) error {
	var waiting, turns []schedule.Run
	for _, run := range open {
		switch {
		case run.State == schedule.Waiting && inLine(&run):
			waiting = append(waiting, run)
		case run.State == schedule.Waiting:
			turns = append(turns, run)
		default:
			s.active = append(s.active, run)
			if run.State == schedule.Retrying && !run.NotBefore.After(s.now) {
				if err := s.start(ctx, &run); err != nil {
					return err
				}
			}
		}
	}
	for _, run := range waiting {
		if err := s.lineUp(ctx, &run); err != nil {
			return err
		}
	}
	for _, run := range turns {
		// It came to be while the backfill was cancelled. A range is there until its last run has ended.
		if run.Range != "" && !slices.ContainsFunc(s.t.Ranges, func(g Range) bool { return g.ID == run.Range }) {
			if err := s.end(ctx, &run, schedule.Canceled, "its backfill was cancelled"); err != nil {
				return err
			}
			continue
		}
		ready := run.Stop == "" && !run.NotBefore.After(s.now)
		if ready && (s.e.Timing.Overlap == "allow" && run.Range == "" || len(s.active) == 0 && len(s.waiting) == 0) {
			if err := s.enter(ctx, &run); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxQueued is how many runs of one schedule wait with overlap: queue, where they take
// longer than the time between them.
var maxQueued = 100 // a variable for tests

// lineUp decides about a run that came by itself.
func (s *standing) lineUp(ctx context.Context, run *schedule.Run) error {
	if run.NotBefore.After(s.now) {
		return nil
	}
	ok, failed := s.met(run)
	if failed != "" {
		return s.end(ctx, run, schedule.Skipped, failed)
	}
	switch s.e.Timing.Overlap {
	case "allow":
		if !ok {
			return nil
		}
		return s.enter(ctx, run)
	case "cancel_old":
		if err := s.cancelOld(ctx, run, ok); err != nil {
			return err
		}
	case "queue":
		if len(s.waiting) >= maxQueued {
			return s.end(ctx, run, schedule.Skipped, fmt.Sprintf("%d runs waited already, and no more are queued", len(s.waiting)))
		}
	case "skip":
		for _, other := range slices.Concat(s.active, s.waiting) {
			if other.Range == "" { // what makes up for times lets those by the clock go before
				return s.end(ctx, run, schedule.Skipped, fmt.Sprintf("the run of %s was under way, and overlap is skip", stamp(other.Scheduled)))
			}
		}
	}
	if !ok || len(s.active) > 0 || len(s.waiting) > 0 {
		s.waiting = append(s.waiting, *run)
		return nil
	}
	return s.enter(ctx, run)
}

// cancelOld makes way for a run: it takes the place of those that wait, and ends those
// under way as soon as it could begin.
func (s *standing) cancelOld(ctx context.Context, run *schedule.Run, ready bool) error {
	for i := range s.waiting {
		if err := s.end(ctx, &s.waiting[i], schedule.Skipped, fmt.Sprintf("the run of %s came, and overlap is cancel_old", stamp(run.Scheduled))); err != nil {
			return err
		}
	}
	s.waiting = nil
	for i := range s.active {
		if a := &s.active[i]; ready && a.Stop == "" && a.Range == "" {
			if err := s.stopRun(ctx, a, "overlap: the run of "+stamp(run.Scheduled)); err != nil {
				return err
			}
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// enter starts a run that waited, from where on it is under way.
func (s *standing) enter(ctx context.Context, run *schedule.Run) error {
	if err := s.start(ctx, run); err != nil {
		return err
	}
	s.active = append(s.active, *run)
	return nil
}

// start has this server begin the next attempt of a run.
func (s *standing) start(ctx context.Context, run *schedule.Run) error {
	hit("start")
	begun := false
	err := s.changeRun(ctx, run, func(now *schedule.Run) error {
		begun = false
		if now.Stop != "" || now.State != schedule.Waiting && now.State != schedule.Retrying {
			return errUnchanged
		}
		now.State, now.Server, now.Attempt, now.Started = schedule.Running, s.o.Server, now.Attempt+1, s.now
		now.NotBefore, now.Taken, now.Outcome = time.Time{}, 0, schedule.Outcome{}
		begun, *run = true, *now
		return nil
	})
	if err != nil || !begun {
		return err
	}
	hit("started")
	s.attempt(s.e, run)
	return nil
}

// maxTaken is how often one attempt may be taken over: what kills each server that runs
// it must come to an end.
const maxTaken = 10

// takeOver goes on with runs whose server is gone.
func (r *reign) takeOver(ctx context.Context) error {
	running := r.all(func(run *schedule.Run) bool { return run.State == schedule.Running })
	away := running[:0]
	r.mu.Lock()
	for _, run := range running {
		if r.Keeper.running[run.ID] == nil && (!r.held[run.Schedule] || run.Stop != "") {
			away = append(away, run)
		}
	}
	r.mu.Unlock()
	if len(away) == 0 {
		return nil
	}
	if time.Since(r.liveAt) > lookAfter/2 {
		live, err := r.present(ctx)
		if err != nil {
			return err
		}
		r.live, r.liveAt = live, time.Now()
	}
	for i := range away {
		run := &away[i]
		if run.Server != "" && run.Server != r.o.Server && r.live[run.Server] {
			continue
		}
		if err := r.take(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

func (r *reign) take(ctx context.Context, run *schedule.Run) error {
	_, e := r.timerOf(run.Schedule)
	switch {
	case e == nil && run.Stop != "":
		return r.end(ctx, run, schedule.Died, "the server that ran it is gone, and it was cancelled by "+run.Stop)
	case e == nil:
		return r.end(ctx, run, schedule.Died, "the server that ran it is gone, and its schedule is no longer configured")
	case run.Taken >= maxTaken:
		return r.end(ctx, run, schedule.Died, fmt.Sprintf("%d servers that ran it are gone, one after the other", run.Taken+1))
	}
	from, taken := run.Server, false
	err := r.changeRun(ctx, run, func(now *schedule.Run) error {
		taken = false
		if now.State != schedule.Running || now.Server != from || now.Attempt != run.Attempt {
			return errUnchanged
		}
		now.Server = r.o.Server
		if from != "" {
			now.Taken++
		}
		taken, *run = true, *now
		return nil
	})
	if err != nil || !taken {
		return err
	}
	r.log.Info("schedules: this server goes on with a run", "schedule", run.Schedule, "run", run.ID, "from", from)
	r.attempt(e, run)
	return nil
}
