package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// resolve releases tasks whose dependencies are COMPLETE, and makes those IMPOSSIBLE,
// or DEFERRED again, that depend on what has failed or was retried. It knows all that
// wait as of the change seq, and then hears of every change.
func (l *leader) resolve(ctx context.Context, seq uint64) error {
	g := newGraph(l.q)
	n := 0
	err := l.q.eachWaiting(ctx, []tasks.State{tasks.Deferred, tasks.Impossible}, func(r index.JobRow) error {
		if err := g.wait(ctx, r.ID, r.DependsOn, ""); err != nil {
			return err
		}
		if n++; n%chunk == 0 { // so that not all that is IMPOSSIBLE is known at a time
			return g.settle(ctx)
		}
		return nil
	})
	if err == nil {
		err = g.settle(ctx)
	}
	if err != nil {
		return err
	}
	return l.q.broker.Feed(ctx, seq, func(records []broker.Record) error {
		for _, r := range records {
			if err := l.heard(ctx, g, r); err != nil {
				return err
			}
		}
		return g.settle(ctx)
	})
}

// eachWaiting calls f with the jobs that depend on others and have tasks in one of states.
func (q *Queue) eachWaiting(ctx context.Context, states []tasks.State, f func(index.JobRow) error) error {
	filter := index.Filter{States: states, Limit: chunk, Oldest: true}
	for {
		rows, next, err := q.index.Jobs(ctx, filter)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if len(r.DependsOn) == 0 {
				continue
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if filter.After = next; next == "" {
			return nil
		}
	}
}

// heard takes a change in. Most are passed over unread.
func (l *leader) heard(ctx context.Context, g *graph, r broker.Record) error {
	switch {
	case strings.HasPrefix(r.Subject, "rp.s."):
	case strings.HasPrefix(r.Subject, "rp.o."):
		l.q.settings.drop(r.Subject)
		signal(l.relimited)
		l.nudge()
		return nil
	case strings.HasPrefix(r.Subject, "rp.j.") && bytes.Contains(r.Data, []byte(`"depends_on":[`)):
		j := new(tasks.Job)
		if err := json.Unmarshal(r.Data, j); err != nil {
			return fmt.Errorf("record %s is damaged: %w", r.Subject, err)
		}
		if j.Deleted {
			g.forget(j.ID)
			return nil
		}
		return g.wait(ctx, j.ID, j.DependsOn, tasks.Deferred)
	default:
		return nil
	}
	job, _, _ := strings.Cut(strings.TrimPrefix(r.Subject, "rp.s."), ".")
	b := l.blocked.Load()
	matters := bytes.Contains(r.Data, []byte(`"state":"DEFERRED"`)) || bytes.Contains(r.Data, []byte(`"state":"MOVED"`))
	if bytes.Contains(r.Data, []byte(`"held":true`)) {
		l.nudge()
	}
	if !matters && !g.watches(job) && b == nil {
		return nil
	}
	t, err := taskOf(r)
	if err != nil {
		return err
	}
	if b != nil && t.State != tasks.Running && (b.jobs[t.Job] || b.owners[t.Owner] || t.State == tasks.Missing) {
		l.nudge()
	}
	switch t.State {
	case tasks.Deferred:
		if err := g.deferred(ctx, t); err != nil {
			return err
		}
	case tasks.Moved:
		g.movedAway(t)
	}
	return g.changed(ctx, t)
}

// taskOf is the task of a change; MISSING where the record has gone.
func taskOf(r broker.Record) (*tasks.Task, error) {
	if r.Data != nil {
		return decodeTask(r)
	}
	k, err := keyOf(strings.TrimPrefix(r.Subject, "rp.s."))
	return &tasks.Task{Job: k.job, N: k.n, State: tasks.Missing, Rev: r.Seq}, err
}

// release makes tasks PENDING that were DEFERRED.
func (q *Queue) release(ctx context.Context, j *tasks.Job, ts []*tasks.Task) error {
	held, err := q.holds(ctx, j)
	if err != nil {
		return err
	}
	errs := q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		if t.State != tasks.Deferred {
			return false, nil
		}
		err := t.Release()
		t.Held = held
		return true, err
	})
	if err := firstError(errs); err != nil {
		return err
	}
	failpoint.Hit("release-records")
	return q.push(ctx, ts)
}

// forbid makes tasks IMPOSSIBLE that were DEFERRED.
func (q *Queue) forbid(ctx context.Context, ts []*tasks.Task, why reason) error {
	return firstError(q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		if t.State != tasks.Deferred {
			return false, nil
		}
		return true, t.Forbid(why.failed, why.gone, time.Now().UTC())
	}))
}

// allow makes tasks DEFERRED that were IMPOSSIBLE.
func (q *Queue) allow(ctx context.Context, ts []*tasks.Task) error {
	return firstError(q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		if t.State != tasks.Impossible {
			return false, nil
		}
		return true, t.Allow()
	}))
}

// firstError is the first of errs that is not about a task that is gone.
func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
	}
	return nil
}
