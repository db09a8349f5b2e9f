package queue

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// withholding takes tasks back from their queues that are there beyond what their owners
// may run: limits have been lowered since, or another server did not know of them yet.
func (l *leader) withholding(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.withhold(ctx); err != nil {
			return err
		}
		timer := time.NewTimer(l.q.o.Sweep)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.relimited:
		}
		timer.Stop()
	}
	return nil
}

// withhold looks at every owner once.
func (l *leader) withhold(ctx context.Context) error {
	if err := l.q.level(ctx); err != nil {
		return err
	}
	owners, err := l.q.index.Owners(ctx)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		limits, err := l.q.limits(ctx, owner)
		if err != nil {
			return err
		}
		if limits.MaxJobs > 0 {
			if err := l.withholdJobs(ctx, owner, limits.MaxJobs); err != nil {
				return err
			}
		}
		if limits.MaxRunning == 0 {
			continue
		}
		s, err := l.q.index.OwnerStats(ctx, owner)
		if err != nil {
			return err
		}
		queued := s.Counts[tasks.Pending] - s.Held
		over := min(queued, queued+s.Counts[tasks.Running]-int64(limits.MaxRunning))
		if err := l.q.withhold(ctx, owner, "", over); err != nil {
			return err
		}
	}
	return nil
}

// withholdJobs takes back the tasks of jobs beyond the first most: those that run count
// as earlier than those that wait, and of these those of an earlier lane.
func (l *leader) withholdJobs(ctx context.Context, owner string, most int) error {
	var begun []index.JobRow
	err := l.eachBegun(ctx, owner, func(r index.JobRow, _ int64) { begun = append(begun, r) })
	if err != nil || len(begun) <= most {
		return err
	}
	slices.SortStableFunc(begun, func(a, b index.JobRow) int {
		runs := -cmp.Compare(min(a.Counts[tasks.Running], 1), min(b.Counts[tasks.Running], 1))
		return cmp.Or(runs, cmp.Compare(a.Lane, b.Lane))
	})
	for _, r := range begun[most:] {
		if err := l.q.withhold(ctx, "", r.ID, math.MaxInt64); err != nil {
			return err
		}
	}
	return nil
}

// withhold makes the last n PENDING tasks of an owner, or of a job, Held, those of the last
// lane first, and takes back their messages. What is claimed in the meantime runs.
func (q *Queue) withhold(ctx context.Context, owner, job string, n int64) error {
	for n > 0 {
		rows, err := q.index.Queued(ctx, owner, job, int(min(n, chunk)))
		if err != nil || len(rows) == 0 {
			return err
		}
		keys := make([]key, len(rows))
		for i, r := range rows {
			keys[i] = key{r.Job, r.N}
		}
		ts, err := q.tasksAt(ctx, keys)
		if err != nil {
			return err
		}
		ts = present(ts)
		queued := messages{}
		errs := q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
			queued.note(t)
			if t.State != tasks.Pending || t.Held {
				return false, nil
			}
			t.Held = true
			return true, nil
		})
		if err := firstError(errs); err != nil {
			return err
		}
		q.withdraw(ctx, queued.of(ts, errs))
		n -= int64(len(keys))
		if err := q.sync(ctx); err != nil { // so that the same are not found again
			return err
		}
	}
	return nil
}
