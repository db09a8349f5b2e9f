package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Delete removes tasks with those that they replaced or that replaced them, and their
// logs; jobs whole. One that is RUNNING is a ConflictError, and nothing of that job is
// deleted: cancel it first. Values go when nobody refers to them any more.
func (q *Queue) Delete(ctx context.Context, who Who, ids []string) ([]Outcome, error) {
	a, err := q.ask(ctx, who, ids)
	if err != nil {
		return nil, err
	}
	r := removal{all: map[string]map[int]*tasks.Task{}}
	var single []int
	for i := range a.outcomes {
		switch {
		case a.tasks[i] != nil:
			single = append(single, i)
		case a.jobs[i] != nil:
			if err := q.removeJob(ctx, a, i, &r); err != nil {
				return nil, err
			}
		}
	}
	if err := q.removeSingle(ctx, a, single, &r); err != nil {
		return nil, err
	}
	return a.outcomes, q.remove(ctx, &r)
}

// removal is what one call deletes, by job and number.
type removal struct {
	all   map[string]map[int]*tasks.Task
	whole map[string]bool // jobs that go altogether, also with tasks that are still being written
}

func (r *removal) add(ts ...*tasks.Task) {
	for _, t := range ts {
		if r.all[t.Job] == nil {
			r.all[t.Job] = map[int]*tasks.Task{}
		}
		r.all[t.Job][t.N] = t
	}
}

// bare is a task without what it has brought, which may be too much for memory where
// there are many.
func bare(t *tasks.Task) *tasks.Task {
	return &tasks.Task{
		Job: t.Job, N: t.N, State: t.State, Rev: t.Rev, Owner: t.Owner, Queue: t.Queue, Lane: t.Lane, Held: t.Held,
		Attempt: t.Attempt, MovedTo: t.MovedTo, MovedFrom: t.MovedFrom,
	}
}

func (q *Queue) removeJob(ctx context.Context, a *asked, place int, r *removal) error {
	j := a.jobs[place]
	var found []*tasks.Task
	err := q.eachOf(ctx, j.ID, 1, j.N, func(ts []*tasks.Task) error {
		chain, err := q.chains(ctx, ts)
		found = append(found, chain...)
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range found {
		if t.State == tasks.Running {
			a.outcomes[place].Err = &ConflictError{t.ID(), t.State, "cancel it first"}
			return nil
		}
		if t.Job == j.ID {
			a.outcomes[place].Count++
		}
	}
	if r.all[j.ID] == nil { // also a job that has no task any more
		r.all[j.ID] = map[int]*tasks.Task{}
	}
	if r.whole == nil {
		r.whole = map[string]bool{}
	}
	r.whole[j.ID] = true
	r.add(found...)
	return nil
}

func (q *Queue) removeSingle(ctx context.Context, a *asked, places []int, r *removal) error {
	ts := make([]*tasks.Task, len(places))
	for k, i := range places {
		ts[k] = a.tasks[i]
	}
	chain, err := q.chains(ctx, ts)
	if err != nil {
		return err
	}
	by := map[string]*tasks.Task{}
	for _, t := range chain {
		by[t.ID()] = t
	}
	for k, i := range places {
		links := linked(by, ts[k])
		running := slices.IndexFunc(links, func(t *tasks.Task) bool { return t.State == tasks.Running })
		if running >= 0 {
			a.outcomes[i].Err = &ConflictError{links[running].ID(), tasks.Running, "cancel it first"}
			continue
		}
		a.outcomes[i].State = tasks.Missing
		r.add(links...)
	}
	return nil
}

// chains are tasks with all that they replaced or that replaced them.
func (q *Queue) chains(ctx context.Context, ts []*tasks.Task) ([]*tasks.Task, error) {
	seen := map[string]bool{}
	var all []*tasks.Task
	for len(ts) > 0 {
		var keys []key
		for _, t := range ts {
			if seen[t.ID()] {
				continue
			}
			seen[t.ID()] = true
			all = append(all, bare(t))
			for _, id := range []string{t.MovedFrom, t.MovedTo} {
				if k, err := keyOf(id); err == nil && !seen[id] {
					keys = append(keys, k)
				}
			}
		}
		next, err := q.tasksAt(ctx, keys)
		if err != nil {
			return nil, err
		}
		ts = present(next)
	}
	return all, nil
}

// linked are the tasks of by in the chain of t.
func linked(by map[string]*tasks.Task, t *tasks.Task) []*tasks.Task {
	links := []*tasks.Task{t}
	for _, step := range []func(*tasks.Task) string{
		func(t *tasks.Task) string { return t.MovedFrom },
		func(t *tasks.Task) string { return t.MovedTo },
	} {
		for at := by[step(t)]; at != nil; at = by[step(at)] {
			links = append(links, at)
		}
	}
	return links
}

// remove deletes tasks, and those jobs that have none left. First the jobs say what is
// going to be deleted, so that nobody makes it anew, and a later call can finish.
func (q *Queue) remove(ctx context.Context, r *removal) error {
	ids := slices.Sorted(maps.Keys(r.all))
	for part := range slices.Chunk(ids, chunk) {
		jobs, err := q.announceRemoval(ctx, part, r)
		if err != nil {
			return err
		}
		failpoint.Hit("delete-announced")
		whole := map[string]bool{}
		for _, j := range jobs {
			whole[j.ID] = true
		}
		var ts []*tasks.Task
		for _, id := range part {
			ts = slices.AppendSeq(ts, maps.Values(r.all[id]))
		}
		if err := q.removeTasks(ctx, whole, ts); err != nil {
			return fmt.Errorf("delete tasks: %w", err)
		}
		if err := q.removeJobs(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

// announceRemoval writes into jobs which of their tasks are being deleted, and returns
// the jobs that go altogether.
func (q *Queue) announceRemoval(ctx context.Context, ids []string, r *removal) (gone []*tasks.Job, err error) {
	for round := 0; len(ids) > 0; round++ {
		if round == rounds {
			return nil, fmt.Errorf("delete job %s: others change it all the time", ids[0])
		}
		subjects := make([]string, len(ids))
		for i, id := range ids {
			subjects[i] = tasks.JobSubject(id)
		}
		records, err := q.broker.GetAll(ctx, subjects)
		if err != nil {
			return nil, err
		}
		var writes []broker.Write
		var jobs []*tasks.Job
		for i, rec := range records {
			if rec.Data == nil {
				gone = append(gone, &tasks.Job{ID: ids[i]})
				continue
			}
			j := new(tasks.Job)
			if err := json.Unmarshal(rec.Data, j); err != nil {
				return nil, fmt.Errorf("record %s is damaged: %w", rec.Subject, err)
			}
			was := j.Dropped.Len()
			j.Dropped = j.Dropped.With(slices.Collect(maps.Keys(r.all[j.ID]))...)
			deleted := j.Deleted
			j.Deleted = deleted || r.whole[j.ID] || j.Dropped.Len() == j.N
			if j.Deleted {
				gone = append(gone, j)
			}
			if j.Dropped.Len() == was && j.Deleted == deleted {
				continue
			}
			data, err := json.Marshal(j)
			if err != nil {
				return nil, err
			}
			writes, jobs = append(writes, broker.Write{Subject: rec.Subject, Data: data, Expect: rec.Seq}), append(jobs, j)
		}
		if len(writes) == 0 {
			return gone, nil
		}
		_, errs := q.writeAll(ctx, writes)
		ids = ids[:0:0]
		for i, err := range errs {
			switch {
			case isConflict(err):
				ids = append(ids, jobs[i].ID)
				gone = slices.DeleteFunc(gone, func(j *tasks.Job) bool { return j.ID == jobs[i].ID })
			case err != nil:
				return nil, fmt.Errorf("delete job %s: %w", jobs[i].ID, err)
			}
			q.jobs.drop(jobs[i].ID)
		}
	}
	return gone, nil
}

// drop notes tasks of a job that are gone, or never came to be.
func (q *Queue) drop(ctx context.Context, job string, ns []int) error {
	if len(ns) == 0 {
		return nil
	}
	r := removal{all: map[string]map[int]*tasks.Task{job: {}}}
	for _, n := range ns {
		r.all[job][n] = nil
	}
	gone, err := q.announceRemoval(ctx, []string{job}, &r)
	if err != nil {
		return err
	}
	return q.removeJobs(ctx, gone)
}

// removeTasks deletes records, messages and logs of tasks. Of the jobs in whole no task
// is to be left. One that somebody has begun to run is cancelled first.
func (q *Queue) removeTasks(ctx context.Context, whole map[string]bool, ts []*tasks.Task) error {
	var gone []*tasks.Task
	for round := 0; len(ts) > 0; round++ {
		if round == rounds {
			return fmt.Errorf("task %s: others change it all the time", ts[0].ID())
		}
		var again []key
		for part := range slices.Chunk(ts, chunk) {
			done, left, err := q.removeRecords(ctx, part)
			if err != nil {
				return err
			}
			gone, again = append(gone, done...), append(again, left...)
		}
		now, err := q.tasksAt(ctx, again)
		if err != nil {
			return err
		}
		ts = present(now)
		running := slices.DeleteFunc(slices.Clone(ts), func(t *tasks.Task) bool { return t.State != tasks.Running })
		q.cancel(ctx, "a deletion", running) // what cannot be cancelled has ended
	}
	failpoint.Hit("delete-tasks")
	var queued []broker.Work
	for _, t := range gone {
		if t.State == tasks.Pending && !t.Held {
			queued = append(queued, work(t))
		}
	}
	q.withdrawWhole(ctx, whole, queued)
	return q.dropLogs(ctx, whole, gone)
}

// removeRecords deletes records, and says which others have changed before.
func (q *Queue) removeRecords(ctx context.Context, ts []*tasks.Task) (gone []*tasks.Task, again []key, err error) {
	writes := make([]broker.Write, len(ts))
	for i, t := range ts {
		writes[i] = broker.Write{Subject: tasks.TaskSubject(t.Job, t.N), Expect: t.Rev, Delete: true}
	}
	_, errs := q.writeAll(ctx, writes)
	for i, err := range errs {
		switch {
		case isConflict(err):
			again = append(again, key{ts[i].Job, ts[i].N})
		case err != nil && !errors.Is(err, broker.ErrNotFound):
			return nil, nil, err
		default:
			gone = append(gone, ts[i])
		}
	}
	return gone, again, nil
}

// dropLogs deletes the logs of tasks, those of whole jobs at once.
func (q *Queue) dropLogs(ctx context.Context, whole map[string]bool, ts []*tasks.Task) error {
	logs := map[key]bool{}
	for _, t := range ts {
		if k := (key{t.Job, t.N}); t.Attempt > 0 {
			if whole[t.Job] {
				k.n = 0
			}
			logs[k] = true
		}
	}
	p := pool.New().WithErrors().WithFirstError().WithMaxGoroutines(16)
	for k := range logs {
		p.Go(func() error { return q.broker.DropLogs(ctx, k.job, k.n) })
	}
	return p.Wait()
}

// removeJobs deletes the records of jobs whose tasks are gone, and their keys. A job of
// the same id that somebody has submitted since stays.
func (q *Queue) removeJobs(ctx context.Context, jobs []*tasks.Job) error {
	subjects := make([]string, len(jobs))
	for i, j := range jobs {
		subjects[i] = tasks.JobSubject(j.ID)
	}
	records, err := q.broker.GetAll(ctx, subjects)
	if err != nil {
		return fmt.Errorf("read jobs: %w", err)
	}
	var writes []broker.Write
	for i, j := range jobs {
		q.jobs.drop(j.ID)
		if data := records[i].Data; data != nil {
			var now tasks.Job
			if err := json.Unmarshal(data, &now); err != nil {
				return fmt.Errorf("record %s is damaged: %w", records[i].Subject, err)
			}
			if !now.Deleted {
				continue
			}
			writes = append(writes, broker.Write{Subject: subjects[i], Expect: records[i].Seq, Delete: true})
		}
		if j.Key != "" {
			var r keyRecord
			subject := tasks.KeySubject(j.Owner, j.Key)
			rev, err := q.read(ctx, subject, &r)
			if err != nil {
				return err
			}
			if rev > 0 && r.Job == j.ID {
				writes = append(writes, broker.Write{Subject: subject, Expect: rev, Delete: true})
			}
		}
	}
	_, errs := q.writeAll(ctx, writes)
	for i, err := range errs {
		if err != nil && !isConflict(err) && !errors.Is(err, broker.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", writes[i].Subject, err)
		}
	}
	return nil
}

// removeDeleted deletes those tasks of a job that were written while others deleted them,
// or the job: who deletes looks for what is there, and knows nothing of what is to come.
func (q *Queue) removeDeleted(ctx context.Context, written *tasks.Job) error {
	j, _, err := q.job(ctx, written.ID)
	switch {
	case err != nil:
		return err
	case j == nil:
		gone := *written
		gone.Deleted = true
		return q.finishRemoval(ctx, &gone)
	case !j.Dropped.IsZero():
		return q.finishRemoval(ctx, j)
	}
	return nil
}

// finishRemoval deletes the rest of a job whose deletion was cut off.
func (q *Queue) finishRemoval(ctx context.Context, j *tasks.Job) error {
	err := q.eachOf(ctx, j.ID, 1, j.N, func(ts []*tasks.Task) error {
		ts = slices.DeleteFunc(ts, func(t *tasks.Task) bool { return !j.Deleted && !j.Dropped.Has(t.N) })
		return q.removeTasks(ctx, map[string]bool{j.ID: j.Deleted}, ts)
	})
	if err == nil && j.Deleted {
		err = q.removeJobs(ctx, []*tasks.Job{j})
	}
	return err
}

// deletedLongAgo is when a deletion that is announced must have been cut off.
const deletedLongAgo = time.Minute
