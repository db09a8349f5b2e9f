package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// chunk is how many records are read or written in one go.
const chunk = 1000

// key names a task.
type key struct {
	job string
	n   int
}

func (k key) id() string { return tasks.TaskID(k.job, k.n) }

func keyOf(id string) (key, error) {
	job, n, err := tasks.ParseID(id)
	return key{job, n}, err
}

func decodeTask(r broker.Record) (*tasks.Task, error) {
	t := new(tasks.Task)
	if err := json.Unmarshal(r.Data, t); err != nil {
		return nil, fmt.Errorf("record %s at %d is damaged: %w", r.Subject, r.Seq, err)
	}
	t.Rev = r.Seq
	return t, nil
}

// tasksAt reads records of tasks; nil for those that are not there.
func (q *Queue) tasksAt(ctx context.Context, keys []key) ([]*tasks.Task, error) {
	ts := make([]*tasks.Task, len(keys))
	subjects := make([]string, 0, min(len(keys), chunk))
	for at := 0; at < len(keys); at += chunk {
		part := keys[at:min(at+chunk, len(keys))]
		subjects = subjects[:0]
		for _, k := range part {
			subjects = append(subjects, tasks.TaskSubject(k.job, k.n))
		}
		records, err := q.broker.GetAll(ctx, subjects)
		if err != nil {
			return nil, fmt.Errorf("read tasks: %w", err)
		}
		for i, r := range records {
			if r.Seq == 0 || r.Data == nil {
				continue
			}
			if ts[at+i], err = decodeTask(r); err != nil {
				return nil, err
			}
		}
	}
	return ts, nil
}

// eachOf calls f with the tasks from number from to number to of a job, part by part;
// those that are not there are left out.
func (q *Queue) eachOf(ctx context.Context, job string, from, to int, f func([]*tasks.Task) error) error {
	keys := make([]key, 0, chunk)
	for ; from <= to; from += chunk {
		keys = keys[:0]
		for n := from; n <= min(from+chunk-1, to); n++ {
			keys = append(keys, key{job, n})
		}
		ts, err := q.tasksAt(ctx, keys)
		if err != nil {
			return err
		}
		if err := f(present(ts)); err != nil {
			return err
		}
	}
	return nil
}

func present(ts []*tasks.Task) []*tasks.Task {
	there := ts[:0:0]
	for _, t := range ts {
		if t != nil {
			there = append(there, t)
		}
	}
	return there
}

// job reads the record of a job and its revision; nil where there is none.
func (q *Queue) job(ctx context.Context, id string) (*tasks.Job, uint64, error) {
	j := new(tasks.Job)
	rev, err := q.read(ctx, tasks.JobSubject(id), j)
	if rev == 0 || err != nil {
		return nil, 0, err
	}
	q.jobs.put(j)
	return j, rev, nil
}

// jobsAt reads records of jobs; nil for those that are not there.
func (q *Queue) jobsAt(ctx context.Context, ids []string) ([]*tasks.Job, error) {
	jobs := make([]*tasks.Job, 0, len(ids))
	for part := range slices.Chunk(ids, chunk) {
		subjects := make([]string, len(part))
		for i, id := range part {
			subjects[i] = tasks.JobSubject(id)
		}
		records, err := q.broker.GetAll(ctx, subjects)
		if err != nil {
			return nil, fmt.Errorf("read jobs: %w", err)
		}
		for _, r := range records {
			if r.Seq == 0 || r.Data == nil {
				jobs = append(jobs, nil)
				continue
			}
			j := new(tasks.Job)
			if err := json.Unmarshal(r.Data, j); err != nil {
				return nil, fmt.Errorf("record %s at %d is damaged: %w", r.Subject, r.Seq, err)
			}
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// seen is, for each key, how many tasks there are that the asker may see: 1 for a task,
// those of a job, 0 for what is missing.
func (q *Queue) seen(ctx context.Context, who Who, keys []key) ([]int, error) {
	var ids []string
	var single []key
	for _, k := range keys {
		if k.n == 0 {
			ids = append(ids, k.job)
		} else {
			single = append(single, k)
		}
	}
	jobs, err := q.jobsAt(ctx, ids)
	if err != nil {
		return nil, err
	}
	ts, err := q.tasksAt(ctx, single)
	if err != nil {
		return nil, err
	}
	ns := make([]int, len(keys))
	for i, k := range keys {
		if k.n == 0 {
			if j := jobs[0]; j != nil && who.sees(j.Owner) {
				ns[i] = j.N
			}
			jobs = jobs[1:]
			continue
		}
		if t := ts[0]; t != nil && who.sees(t.Owner) {
			ns[i] = 1
		}
		ts = ts[1:]
	}
	return ns, nil
}

// jobCached is job, but what it says of Dropped and Deleted may be out of date.
func (q *Queue) jobCached(ctx context.Context, id string) (*tasks.Job, error) {
	if j := q.jobs.get(id); j != nil {
		return j, nil
	}
	j, _, err := q.job(ctx, id)
	return j, err
}

// read decodes a record into v; its revision is 0 where it is not there.
func (q *Queue) read(ctx context.Context, subject string, v any) (rev uint64, err error) {
	r, err := q.broker.Get(ctx, subject)
	if errors.Is(err, broker.ErrNotFound) || err == nil && r.Data == nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(r.Data, v); err != nil {
		return 0, fmt.Errorf("record %s at %d is damaged: %w", subject, r.Seq, err)
	}
	return r.Seq, nil
}

// rounds is how often a change is tried against others before it is given up.
const rounds = 50

// change applies f to tasks and writes their records. f says whether there is anything
// to write; where somebody else has changed a record, f is asked again with the new one.
// Tasks are changed in place, to what their record is now; a task that is gone has state
// MISSING. errs has an error for each: f's own, or that of the write.
func (q *Queue) change(ctx context.Context, ts []*tasks.Task, f func(*tasks.Task) (bool, error)) (errs []error) {
	errs = make([]error, len(ts))
	left := make([]int, len(ts))
	for i := range left {
		left[i] = i
	}
	for round := 0; len(left) > 0 && round < rounds; round++ {
		if round > 0 {
			left = q.reload(ctx, ts, left, errs)
		}
		var again []int
		for at := 0; at < len(left); at += chunk {
			again = append(again, q.changeOnce(ctx, ts, left[at:min(at+chunk, len(left))], f, errs)...)
		}
		left = again
	}
	for _, i := range left {
		errs[i] = fmt.Errorf("task %s: %w, %d times", ts[i].ID(), broker.ErrConflict, rounds)
	}
	return errs
}

// changeOnce returns those that somebody else has changed.
func (q *Queue) changeOnce(ctx context.Context, ts []*tasks.Task, which []int, f func(*tasks.Task) (bool, error), errs []error) (again []int) {
	writes := make([]broker.Write, 0, len(which))
	written := make([]int, 0, len(which))
	for _, i := range which {
		was := *ts[i]
		changed, err := f(ts[i])
		if err != nil || !changed {
			if err != nil {
				*ts[i] = was
			}
			errs[i] = err
			continue
		}
		data, err := json.Marshal(ts[i])
		if err != nil {
			errs[i] = err
			continue
		}
		writes = append(writes, broker.Write{Subject: tasks.TaskSubject(was.Job, was.N), Data: data, Expect: was.Rev})
		written = append(written, i)
	}
	if len(writes) == 0 {
		return nil
	}
	seqs, failed := q.writeAll(ctx, writes)
	for k, i := range written {
		switch err := failed[k]; {
		case err == nil:
			ts[i].Rev, errs[i] = seqs[k], nil
		case errors.Is(err, broker.ErrConflict):
			again = append(again, i)
		default:
			errs[i] = fmt.Errorf("write task %s: %w", ts[i].ID(), err)
		}
	}
	return again
}

// reload reads tasks again, and returns those that are still there.
func (q *Queue) reload(ctx context.Context, ts []*tasks.Task, which []int, errs []error) (left []int) {
	keys := make([]key, len(which))
	for k, i := range which {
		keys[k] = key{ts[i].Job, ts[i].N}
	}
	now, err := q.tasksAt(ctx, keys)
	for k, i := range which {
		switch {
		case err != nil:
			errs[i] = err
		case now[k] == nil:
			*ts[i] = tasks.Task{Job: keys[k].job, N: keys[k].n, State: tasks.Missing}
			errs[i] = fmt.Errorf("task %s: %w", keys[k].id(), ErrMissing)
		default:
			*ts[i] = *now[k]
			left = append(left, i)
		}
	}
	return left
}

// workOf are the messages of those of ts that may be claimed.
func workOf(ts []*tasks.Task) []broker.Work {
	var ws []broker.Work
	for _, t := range ts {
		if t.State == tasks.Pending && !t.Held {
			ws = append(ws, work(t))
		}
	}
	return ws
}

func work(t *tasks.Task) broker.Work {
	return broker.Work{Queue: t.Queue, Lane: t.Lane, Job: t.Job, N: t.N}
}

// push sends the messages of those of ts that may be claimed.
func (q *Queue) push(ctx context.Context, ts []*tasks.Task) error {
	return q.pushAll(ctx, workOf(ts), nil)
}

// pushNew is push for tasks that have just been written, each by a write that has the
// sequence number in seqs; 0 is one that was there before.
func (q *Queue) pushNew(ctx context.Context, ts []*tasks.Task, writes []broker.Write, seqs []uint64) error {
	ws, told := make([]broker.Work, 0, len(ts)), make([]broker.Told, 0, len(ts))
	for i, t := range ts {
		if t.State == tasks.Pending && !t.Held {
			ws, told = append(ws, work(t)), append(told, broker.Told{Rev: seqs[i], Data: writes[i].Data})
		}
	}
	return q.pushAll(ctx, ws, told)
}

func (q *Queue) pushAll(ctx context.Context, ws []broker.Work, told []broker.Told) error {
	if len(ws) == 0 {
		return nil
	}
	if err := q.broker.PushTold(ctx, ws, told); err != nil {
		return fmt.Errorf("send %d tasks to their queues: %w", len(ws), err)
	}
	return nil
}

// jobCache has the jobs that were read last.
type jobCache struct {
	mu sync.Mutex
	by map[string]*tasks.Job
}

const maxCachedJobs = 4096

func (c *jobCache) get(id string) *tasks.Job {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[id]
}

func (c *jobCache) put(j *tasks.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil || len(c.by) >= maxCachedJobs {
		c.by = map[string]*tasks.Job{}
	}
	c.by[j.ID] = j
}

func (c *jobCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, id)
}

// write writes one record, which must be at revision expect.
func (q *Queue) write(ctx context.Context, w broker.Write) (uint64, error) {
	seq, err := q.broker.Write(ctx, w)
	q.last.see(seq)
	return seq, err
}

func (q *Queue) writeAll(ctx context.Context, ws []broker.Write) ([]uint64, []error) {
	seqs, errs := q.broker.WriteAll(ctx, ws)
	for _, seq := range seqs {
		q.last.see(seq)
	}
	return seqs, errs
}

func isConflict(err error) bool { return errors.Is(err, broker.ErrConflict) }
