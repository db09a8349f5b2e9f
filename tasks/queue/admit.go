package queue

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

const (
	// admitMost is how many tasks one round admits.
	admitMost = 2000
	// admitLeast is how many tasks of an owner are looked at to begin with, in place of
	// admitMost, where there are many owners.
	admitLeast = 50
	// admitEvery is how long rounds are apart at least.
	admitEvery = 2 * time.Millisecond
)

// admission admits held tasks: those whose time has come and that no limit of their
// owner or job keeps back.
func (l *leader) admission(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := l.admit(ctx)
		if err != nil {
			return err
		}
		if more {
			l.nudge()
		}
		next, err := l.nextDue(ctx)
		if err != nil {
			return err
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.wake:
			l.q.pause(ctx, admitEvery)
		}
		timer.Stop()
	}
	return nil
}

// nextDue is in how long the first task is due that waits for its time.
func (l *leader) nextDue(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	ids, err := l.q.index.Due(ctx, now.Add(l.q.o.Sweep), 100)
	if err != nil {
		return 0, err
	}
	keys := make([]key, 0, len(ids))
	for _, id := range ids {
		if k, err := keyOf(id); err == nil {
			keys = append(keys, k)
		}
	}
	ts, err := l.q.tasksAt(ctx, keys)
	if err != nil {
		return 0, err
	}
	next := l.q.o.Sweep
	if len(ids) > 0 { // those that are due and kept back by a limit may hide the next
		next = min(next, time.Second)
	}
	for _, t := range present(ts) {
		if in := t.NotBefore.Sub(now); in > 0 {
			next = min(next, in)
		}
	}
	return next, nil
}

// candidate is an owner whose tasks are to be admitted, in turn with others.
type candidate struct {
	owner string
	free  int64          // how many more may run
	jobs  map[string]int // of those that may begin a job: how many more of it may run
	begin int64          // how many more jobs may begin
	rows  []index.TaskRow
	read  int  // how many rows have been read
	all   bool // rows are all that there are
}

// admit admits what may be, and reports whether there is more.
func (l *leader) admit(ctx context.Context) (more bool, err error) {
	if err := l.q.level(ctx); err != nil {
		return false, err
	}
	now := time.Now()
	owners, err := l.q.index.HeldOwners(ctx)
	if err != nil {
		return false, err
	}
	b := &blocked{map[string]bool{}, map[string]bool{}}
	var cs []*candidate
	for _, owner := range owners {
		c, err := l.candidate(ctx, owner, now, max(admitLeast, 2*admitMost/len(owners)), b)
		if err != nil {
			return false, err
		}
		cs = append(cs, c)
	}
	picked, err := l.pick(ctx, cs, now, b)
	if err != nil {
		return false, err
	}
	if len(owners) == 0 {
		b = nil
	}
	l.blocked.Store(b)
	return len(picked) == admitMost, l.let(ctx, picked)
}

// candidate looks up what an owner may still run, and most of the tasks that wait.
func (l *leader) candidate(ctx context.Context, owner string, now time.Time, most int, b *blocked) (*candidate, error) {
	c := &candidate{owner: owner, free: math.MaxInt64, begin: math.MaxInt64, jobs: map[string]int{}}
	limits, err := l.q.limits(ctx, owner)
	if err != nil {
		return nil, err
	}
	if limits.MaxRunning > 0 {
		s, err := l.q.index.OwnerStats(ctx, owner)
		if err != nil {
			return nil, err
		}
		c.free = int64(limits.MaxRunning) - s.Counts[tasks.Running] - s.Counts[tasks.Pending] + s.Held
	}
	if limits.MaxJobs > 0 {
		if err := l.begun(ctx, c, int64(limits.MaxJobs)); err != nil {
			return nil, err
		}
	}
	if c.free <= 0 {
		b.owners[owner] = true
		return c, nil
	}
	if c.free < int64(most) {
		most = max(int(c.free), admitLeast)
	}
	return c, l.readHeld(ctx, c, now, min(most, admitMost))
}

// readHeld reads rows up to most, those that were read before left out.
func (l *leader) readHeld(ctx context.Context, c *candidate, now time.Time, most int) error {
	rows, err := l.q.index.Held(ctx, c.owner, "", now, most)
	if err != nil {
		return err
	}
	c.rows, c.all = append(c.rows, rows[min(c.read, len(rows)):]...), len(rows) < most
	c.read = max(c.read, most)
	return nil
}

// begun counts the jobs of an owner that have tasks in their queue or running.
func (l *leader) begun(ctx context.Context, c *candidate, most int64) error {
	c.begin = most
	return l.eachBegun(ctx, c.owner, func(r index.JobRow, active int64) {
		c.begin--
		c.jobs[r.ID] = room(r.MaxRunning, active)
	})
}

// eachBegun calls f with the jobs of an owner that have tasks in their queue or running,
// and how many, by submission.
func (l *leader) eachBegun(ctx context.Context, owner string, f func(r index.JobRow, active int64)) error {
	filter := index.Filter{Owner: owner, States: []tasks.State{tasks.Pending, tasks.Running}, Limit: chunk, Oldest: true}
	for {
		rows, next, err := l.q.index.Jobs(ctx, filter)
		if err != nil {
			return err
		}
		for _, r := range rows {
			n, err := l.q.index.Active(ctx, r.ID)
			if err != nil {
				return err
			}
			if n > 0 {
				f(r, n)
			}
		}
		if filter.After = next; next == "" {
			return nil
		}
	}
}

// room is how many more tasks of a job may run.
func room(most int, active int64) int {
	if most == 0 {
		return math.MaxInt
	}
	return most - int(active)
}

// pick chooses tasks lane by lane, an owner after the other within each.
func (l *leader) pick(ctx context.Context, cs []*candidate, now time.Time, b *blocked) ([]key, error) {
	var picked []key
	for lane := tasks.Front; lane < tasks.Lanes; lane++ {
		for turn := true; turn; {
			turn = false
			for _, c := range cs {
				k, ok, err := l.next(ctx, c, lane, now, b)
				if err != nil {
					return nil, err
				}
				if !ok {
					continue
				}
				turn = true
				if picked = append(picked, k); len(picked) == admitMost {
					return picked, nil
				}
			}
		}
	}
	return picked, nil
}

// next is the next task of an owner in a lane.
func (l *leader) next(ctx context.Context, c *candidate, lane tasks.Lane, now time.Time, b *blocked) (key, bool, error) {
	for c.free > 0 && len(c.rows) > 0 && c.rows[0].Lane <= lane {
		r := c.rows[0]
		c.rows = c.rows[1:]
		may, err := l.mayRun(ctx, c, r.Job, b)
		if err != nil {
			return key{}, false, err
		}
		if len(c.rows) == 0 && !c.all {
			if c.read < admitMost {
				err = l.readHeld(ctx, c, now, min(4*c.read, admitMost))
			} else {
				err = l.further(ctx, c, b)
			}
			if err != nil {
				return key{}, false, err
			}
		}
		if !may {
			continue
		}
		if c.free--; c.free == 0 {
			b.owners[c.owner] = true
		}
		return key{r.Job, r.N}, true, nil
	}
	return key{}, false, nil
}

// mayRun takes one task off what a job may still run.
func (l *leader) mayRun(ctx context.Context, c *candidate, job string, b *blocked) (bool, error) {
	left, known := c.jobs[job]
	if !known {
		j, err := l.q.jobCached(ctx, job)
		if err != nil || j == nil {
			return false, err
		}
		active, err := l.q.index.Active(ctx, job)
		if err != nil {
			return false, err
		}
		if active == 0 {
			if c.begin == 0 {
				b.owners[c.owner] = true
				c.jobs[job] = 0
				return false, nil
			}
			c.begin--
		}
		left = room(j.MaxRunning, active)
	}
	c.jobs[job] = left - 1
	if left <= 1 {
		b.jobs[job] = true
	}
	if left <= 0 {
		c.jobs[job] = 0
		return false, nil
	}
	return true, nil
}

// further looks for tasks of jobs behind those that fill the rows and are kept back.
func (l *leader) further(ctx context.Context, c *candidate, b *blocked) error {
	c.all = true
	f := index.Filter{Owner: c.owner, States: []tasks.State{tasks.Pending}, Limit: chunk, Oldest: true}
	for len(c.rows) < admitMost {
		rows, next, err := l.q.index.Jobs(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if _, seen := c.jobs[r.ID]; seen {
				continue
			}
			held, err := l.q.index.Held(ctx, "", r.ID, time.Now(), admitMost)
			if err != nil {
				return err
			}
			c.rows = append(c.rows, held...)
			if len(c.rows) >= admitMost {
				break
			}
		}
		if f.After = next; next == "" {
			break
		}
	}
	slices.SortStableFunc(c.rows, func(x, y index.TaskRow) int { return int(x.Lane - y.Lane) })
	return nil
}

// let lets tasks go to their queues, in this order.
func (l *leader) let(ctx context.Context, keys []key) error {
	ts, err := l.q.tasksAt(ctx, keys)
	if err != nil {
		return err
	}
	ts = present(ts)
	now := time.Now()
	errs := l.q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		if t.State != tasks.Pending || !t.Held || t.NotBefore.After(now) {
			return false, nil
		}
		t.Held = false
		return true, nil
	})
	for _, err := range errs {
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
	}
	failpoint.Hit("admit-records")
	return l.q.push(ctx, ts)
}
