package queue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// Event is a change of a task, or says that changes were missed.
type Event = index.Event

// Scope says whose events: all that the asker may see, or of an owner, a job, one of its
// tasks, a queue.
type Scope struct {
	Owner, Job, Queue string
	N                 int // of Job; 0 is all
}

// Events yields changes from now on, until ctx ends. The channel is closed then. Tasks
// must not be changed. Of changes of a task that follow each other at once only the last
// may come.
func (q *Queue) Events(ctx context.Context, who Who, s Scope) (<-chan Event, error) {
	var jobs []string
	if s.Job != "" {
		if _, err := q.Job(ctx, who, s.Job); err != nil {
			return nil, err
		}
		jobs = []string{s.Job}
	}
	events, stop := q.index.Subscribe(func(t *tasks.Task) bool {
		return (s.Job != "" || who.sees(t.Owner)) && (s.Owner == "" || s.Owner == t.Owner) &&
			(s.Queue == "" || s.Queue == t.Queue) && (s.N == 0 || s.N == t.N)
	}, jobs...)
	context.AfterFunc(ctx, stop)
	return events, nil
}

// Result is a task that is COMPLETE, or the last that replaced it. One that has no value
// is a ConflictError.
func (q *Queue) Result(ctx context.Context, who Who, id string) (*tasks.Task, error) {
	t, err := q.one(ctx, who, id)
	if err != nil {
		return nil, err
	}
	ts := []*tasks.Task{t}
	if err := q.follow(ctx, ts); err != nil {
		return nil, err
	}
	switch t = ts[0]; {
	case t.State == tasks.Complete:
		return t, nil
	case t.State.Failed():
		return t, &ConflictError{t.ID(), t.State, "it has no value"}
	}
	return t, &ConflictError{t.ID(), t.State, "it has no value yet"}
}

// Open reads a value, wherever it is.
func (q *Queue) Open(ctx context.Context, v tasks.Value) (io.ReadCloser, int64, error) {
	if v.Ref == "" {
		return io.NopCloser(bytes.NewReader(v.Data)), int64(len(v.Data)), nil
	}
	return q.blobs.Open(ctx, v.Ref)
}

// Bytes is a whole value of at most max bytes. It must not be changed.
func (q *Queue) Bytes(ctx context.Context, v tasks.Value, max int64) ([]byte, error) {
	if v.Ref != "" {
		return q.blobs.Bytes(ctx, v.Ref, max)
	}
	if int64(len(v.Data)) > max {
		return nil, fmt.Errorf("value of %d bytes, of at most %d", len(v.Data), max)
	}
	return v.Data, nil
}

// ResultsOptions say which results, and in which order.
type ResultsOptions struct {
	From, To int  // numbers of tasks, from 1; To 0 is the last
	Follow   bool // waits for those that have not ended; else they are passed over
	AsEnded  bool // in the order in which they ended; else by number
}

// Results calls f with the tasks of a job that have ended, those that were retried by
// their last successor, with the number in this job beside it, until it fails.
func (q *Queue) Results(ctx context.Context, who Who, job string, o ResultsOptions, f func(n int, t *tasks.Task) error) error {
	j, err := q.Job(ctx, who, job)
	if err != nil {
		return err
	}
	r := &results{q: q, job: job, from: max(o.From, 1), to: j.N, f: f}
	if o.To > 0 {
		r.to = min(o.To, j.N)
	}
	switch {
	case o.Follow:
		return r.follow(ctx, o.AsEnded)
	case o.AsEnded:
		return r.asEnded(ctx)
	}
	return r.inOrder(ctx)
}

// results is one call of Results.
type results struct {
	q        *Queue
	job      string
	from, to int
	f        func(n int, t *tasks.Task) error
}

func hasEnded(t *tasks.Task) bool { return t.State.Final() && t.State != tasks.Moved }

// each calls f with the tasks that have ended.
func (r *results) each(ctx context.Context, f func(n int, t *tasks.Task) error) error {
	return r.q.eachOf(ctx, r.job, r.from, r.to, func(ts []*tasks.Task) error {
		ns := make([]int, len(ts))
		for i, t := range ts {
			ns[i] = t.N
		}
		if err := r.q.follow(ctx, ts); err != nil {
			return err
		}
		for i, t := range ts {
			if hasEnded(t) {
				if err := f(ns[i], t); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r *results) inOrder(ctx context.Context) error { return r.each(ctx, r.f) }

// asEnded first looks when each has ended, since values of all may be too many.
func (r *results) asEnded(ctx context.Context) error {
	type end struct {
		n  int
		at int64
	}
	var ends []end
	err := r.each(ctx, func(n int, t *tasks.Task) error {
		ends = append(ends, end{n, t.Ended.UnixNano()})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.at, b.at) })
	for part := range slices.Chunk(ends, chunk) {
		keys := make([]key, len(part))
		for i, e := range part {
			keys[i] = key{r.job, e.n}
		}
		ts, err := r.q.tasksAt(ctx, keys)
		if err != nil {
			return err
		}
		if err := r.q.follow(ctx, ts); err != nil {
			return err
		}
		for i, t := range ts {
			if t == nil || !hasEnded(t) { // it was deleted or retried in the meantime
				continue
			}
			if err := r.f(part[i].n, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow waits for all. Each is passed on once, in the order asked for.
func (r *results) follow(ctx context.Context, asEnded bool) error {
	if !asEnded {
		return r.followInOrder(ctx)
	}
	passed := make([]bool, r.to+1)
	left := max(r.to-r.from+1, 0)
	w := &watch{q: r.q, targets: []target{{job: r.job, from: r.from, to: r.to}}}
	w.see = func(_, n int, t *tasks.Task) error {
		gone := t.State == tasks.Missing
		if passed[n] || !hasEnded(t) && !gone {
			return nil
		}
		passed[n], left = true, left-1
		if gone {
			return nil
		}
		return r.f(n, t)
	}
	w.settled = func() (bool, error) { return left == 0, nil }
	return w.run(ctx)
}

// followInOrder follows a part of the job at a time, and keeps of it what has ended before
// its turn.
func (r *results) followInOrder(ctx context.Context) error {
	for r.from <= r.to {
		part := target{job: r.job, from: r.from, to: min(r.from+followed-1, r.to)}
		ended := make([]*tasks.Task, part.to-part.from+1)
		w := &watch{q: r.q, targets: []target{part}}
		w.see = func(_, n int, t *tasks.Task) error {
			if n < r.from {
				return nil
			}
			ended[n-part.from] = nil // where it was retried since
			if t.State == tasks.Missing || hasEnded(t) {
				ended[n-part.from] = t
			}
			return nil
		}
		w.settled = func() (bool, error) {
			for ; r.from <= part.to && ended[r.from-part.from] != nil; r.from++ {
				t := ended[r.from-part.from]
				ended[r.from-part.from] = nil
				if t.State == tasks.Missing {
					continue
				}
				if err := r.f(r.from, t); err != nil {
					return false, err
				}
			}
			if r.from > part.to { // whatever becomes of them now
				return false, errPassed
			}
			return false, nil
		}
		if err := w.run(ctx); !errors.Is(err, errPassed) {
			return err
		}
	}
	return nil
}

var errPassed = errors.New("all tasks have been passed on")

// followed is how many tasks are followed together: those that end before their turn are
// in memory, with results of at most tasks.MaxInline bytes each.
const followed = 200
