package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// RetryOptions is what is changed; zero fields stay as they were.
type RetryOptions struct {
	Queue   string
	Lane    *tasks.Lane
	Memory  int64
	Timeout time.Duration
}

// Retry runs tasks again: a new task takes the place of each, and the old one is MOVED.
// Tasks of one job are retried as one new job. Of a job all tasks are retried that have
// failed (what is COMPLETE only where it is named as a task); those that are IMPOSSIBLE
// come back by themselves. Of one that was retried before the successor is retried,
// or is the answer where that has not failed too. Where there is no room for all in their
// queues, or of their owners' shares, none is: RefusedError.
func (q *Queue) Retry(ctx context.Context, who Who, ids []string, o RetryOptions) ([]Outcome, error) {
	if err := checkPlace(o.Queue, o.Lane); err != nil {
		return nil, err
	}
	if err := checkLimits(&tasks.Job{Memory: o.Memory, Timeout: o.Timeout}); err != nil {
		return nil, err
	}
	a, err := q.ask(ctx, who, ids)
	if err != nil {
		return nil, err
	}
	r := retrial{by: who.Owner, olds: map[string]map[int]*tasks.Task{}, wanted: map[string][]int{}}
	if err := q.pickTasks(ctx, a, &r); err != nil {
		return nil, err
	}
	for _, i := range slices.Sorted(maps.Keys(a.jobs)) {
		if err := q.pickJob(ctx, a, i, &r); err != nil {
			return nil, err
		}
	}
	jobs, err := q.successors(ctx, &r, o)
	defer func() {
		for _, s := range jobs {
			s.room.end()
		}
	}()
	if err != nil {
		return nil, err
	}
	for _, s := range jobs {
		if err := q.retryJob(ctx, &r, s); err != nil {
			return nil, err
		}
	}
	r.answer(a)
	return a.outcomes, nil
}

// retriedJob is a job that is about to retry tasks, and the room that it has.
type retriedJob struct {
	*tasks.Job
	room *reservation
}

// successors are the jobs that retry tasks, for all of which there is room.
func (q *Queue) successors(ctx context.Context, r *retrial, o RetryOptions) (jobs []retriedJob, err error) {
	for _, id := range slices.Sorted(maps.Keys(r.olds)) {
		old, _, err := q.job(ctx, id)
		if err != nil {
			return jobs, err
		}
		if old == nil {
			return jobs, fmt.Errorf("retry tasks of job %s: %w", id, ErrMissing)
		}
		olds := r.olds[id]
		j := successor(old, slices.Collect(maps.Keys(olds)), o)
		if !slices.ContainsFunc(slices.Collect(maps.Values(olds)), func(t *tasks.Task) bool { return t.Attempt == 0 }) {
			j.DependsOn = nil // all have run, so what they depend on was there
		}
		room := &reservation{q: q, queue: j.Queue, owner: j.Owner}
		jobs = append(jobs, retriedJob{j, room})
		if err := room.take(ctx, int64(j.N), valueBytes(j)); err != nil {
			return jobs, fmt.Errorf("retry %d tasks of job %s: %w", j.N, id, err)
		}
	}
	return jobs, nil
}

// retrial is what one call retries.
type retrial struct {
	by     string
	olds   map[string]map[int]*tasks.Task // by job and number
	wanted map[string][]int               // places in the outcomes, by id of the task that is retried
	failed map[string]error               // by id
}

func (r *retrial) pick(t *tasks.Task, place int) {
	if r.olds[t.Job] == nil {
		r.olds[t.Job] = map[int]*tasks.Task{}
	}
	r.olds[t.Job][t.N] = t
	r.wanted[t.ID()] = append(r.wanted[t.ID()], place)
}

func (q *Queue) pickTasks(ctx context.Context, a *asked, r *retrial) error {
	places, ts := a.inOrder()
	if err := q.follow(ctx, ts); err != nil {
		return err
	}
	for k, t := range ts {
		out := &a.outcomes[places[k]]
		switch {
		case t.State.Retriable() && (t.ID() == out.ID || t.State.Failed()):
			r.pick(t, places[k])
		case t.ID() != out.ID:
			out.State, out.NewID = tasks.Moved, t.ID()
		case t.State == tasks.Moved: // and its successor is about to be written
			out.State, out.NewID = tasks.Moved, t.MovedTo
		case t.State == tasks.Impossible:
			out.Err = &ConflictError{t.ID(), t.State, "it comes back by itself when what it depends on is retried"}
		default:
			out.Err = &ConflictError{t.ID(), t.State, "it has not ended"}
		}
	}
	return nil
}

// pickJob picks the tasks of a job that have failed.
func (q *Queue) pickJob(ctx context.Context, a *asked, place int, r *retrial) error {
	j := a.jobs[place]
	return q.eachOf(ctx, j.ID, 1, j.N, func(ts []*tasks.Task) error {
		if err := q.follow(ctx, ts); err != nil {
			return err
		}
		for _, t := range ts {
			if t.State.Failed() && t.State.Retriable() {
				r.pick(bare(t), place)
			}
		}
		return nil
	})
}

// retryJob submits a job with those tasks of another one that are retried.
func (q *Queue) retryJob(ctx context.Context, r *retrial, j retriedJob) error {
	data, err := json.Marshal(j.Job)
	if err != nil {
		return err
	}
	if _, err := q.write(ctx, broker.Write{Subject: tasks.JobSubject(j.ID), Data: data}); err != nil {
		return fmt.Errorf("retry %d tasks of job %s: %w", j.N, j.RetriedFrom, q.tooLarge(err, len(data)))
	}
	failpoint.Hit("retry-job")
	if err := q.finishRetry(ctx, j.Job, r); err != nil {
		return err
	}
	j.room.written(q.last.get())
	return nil
}

// successor is the job that retries tasks ns of old.
func successor(old *tasks.Job, ns []int, o RetryOptions) *tasks.Job {
	j := *old
	j.ID, j.Created, j.Key, j.NotBefore = newID(), time.Now().UTC().Truncate(time.Millisecond), "", time.Time{}
	j.Numbers, j.N = tasks.NumbersOf(ns...), len(ns)
	j.RetriedFrom, j.Dropped, j.Deleted = old.ID, tasks.Numbers{}, false
	j.Over.Size = int64(float64(old.Over.Size) * float64(len(ns)) / float64(old.N)) // about
	j.Origin, j.OriginNumbers = "", tasks.Numbers{}
	if old.RetriedFrom != "" {
		j.Origin = old.Origin
		if j.Origin == "" {
			j.Origin = old.RetriedFrom
		}
		origins := make([]int, 0, len(ns))
		for n := range j.Numbers.All {
			origins = append(origins, old.New(n).RootN)
		}
		j.OriginNumbers = tasks.NumbersOf(origins...)
	}
	if o.Queue != "" {
		j.Queue = o.Queue
	}
	if o.Lane != nil {
		j.Lane = *o.Lane
	}
	if o.Memory != 0 {
		j.Memory = o.Memory
	}
	if o.Timeout != 0 {
		j.Timeout = o.Timeout
	}
	return &j
}

// finishRetry marks the old tasks of a retry as MOVED and makes the new ones. It goes on
// from wherever an earlier call was cut off. An old task that somebody else has retried
// in the meantime, or that is gone, has no new one here: its number is dropped. r is nil
// where nobody waits for an answer.
func (q *Queue) finishRetry(ctx context.Context, j *tasks.Job, r *retrial) error {
	limited, err := q.limited(ctx, j.Owner)
	if err != nil {
		return err
	}
	var dropped []int
	for from := 1; from <= j.N; from += chunk {
		lost, err := q.retryPart(ctx, j, from, min(from+chunk-1, j.N), limited, r)
		if err != nil {
			return fmt.Errorf("retry tasks of job %s: %w", j.RetriedFrom, err)
		}
		dropped = append(dropped, lost...)
	}
	if err := q.drop(ctx, j.ID, dropped); err != nil {
		return err
	}
	return q.removeDeleted(ctx, j)
}

func (q *Queue) retryPart(ctx context.Context, j *tasks.Job, from, to int, limited bool, r *retrial) (dropped []int, err error) {
	keys, news := []key{}, []int{}
	for n := from; n <= to; n++ {
		if !j.Dropped.Has(n) {
			keys, news = append(keys, key{j.RetriedFrom, j.Numbers.At(n)}), append(news, n)
		}
	}
	olds, err := q.tasksAt(ctx, keys)
	if err != nil {
		return nil, err
	}
	by := "a retry"
	if r != nil {
		by = r.by
	}
	numbers := map[key]int{}
	for i, k := range keys {
		numbers[k] = news[i]
		if olds[i] == nil {
			olds[i] = &tasks.Task{Job: k.job, N: k.n, State: tasks.Missing}
		}
	}
	errs := q.change(ctx, olds, func(t *tasks.Task) (bool, error) {
		to := tasks.TaskID(j.ID, numbers[key{t.Job, t.N}])
		if t.State == tasks.Moved && t.MovedTo == to {
			return false, nil
		}
		return true, t.Move(to, by)
	})
	failpoint.Hit("retry-moved")
	var mine []int
	for i, err := range errs {
		var wrong *tasks.TransitionError
		switch {
		case err == nil:
			mine = append(mine, news[i])
		case errors.As(err, &wrong) || errors.Is(err, ErrMissing):
			dropped = append(dropped, news[i])
		default:
			return nil, err
		}
		r.done(olds[i], err)
	}
	_, err = q.keepTasks(ctx, slices.Values(mine), func(n int) *tasks.Task {
		t := j.New(n)
		t.Held = t.State == tasks.Pending && (t.Held || limited)
		return t
	})
	return dropped, err
}

// done notes what became of a task that was to be retried.
func (r *retrial) done(t *tasks.Task, err error) {
	if r == nil {
		return
	}
	r.olds[t.Job][t.N] = bare(t)
	if err != nil {
		if r.failed == nil {
			r.failed = map[string]error{}
		}
		r.failed[t.ID()] = err
	}
}

// answer fills in the outcomes.
func (r *retrial) answer(a *asked) {
	for job, olds := range r.olds {
		for n, t := range olds {
			id := tasks.TaskID(job, n)
			for _, place := range r.wanted[id] {
				out := &a.outcomes[place]
				switch {
				case a.jobs[place] != nil && r.failed[id] == nil:
					out.Count++
					if k, err := keyOf(t.MovedTo); err == nil && (job == out.ID || out.NewID == "") {
						out.NewID = k.job
					}
				case a.jobs[place] != nil:
				case t.State == tasks.Moved: // also where another call was first
					out.State, out.NewID = tasks.Moved, t.MovedTo
				default:
					out.State, out.Err = t.State, r.failed[id]
				}
			}
		}
	}
}
