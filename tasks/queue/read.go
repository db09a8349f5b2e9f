package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// Get are the records of tasks, in the order of ids; nil for what is missing.
func (q *Queue) Get(ctx context.Context, who Who, ids ...string) ([]*tasks.Task, error) {
	keys, where := make([]key, 0, len(ids)), make([]int, 0, len(ids))
	for i, id := range ids {
		if k, err := keyOf(id); err == nil && k.n > 0 {
			keys, where = append(keys, k), append(where, i)
		}
	}
	found, err := q.tasksAt(ctx, keys)
	if err != nil {
		return nil, err
	}
	ts := make([]*tasks.Task, len(ids))
	for k, t := range found {
		if t != nil && who.sees(t.Owner) {
			ts[where[k]] = t
		}
	}
	return ts, nil
}

// Follow is Get, but of a task that was retried it has the last successor.
func (q *Queue) Follow(ctx context.Context, who Who, ids ...string) ([]*tasks.Task, error) {
	ts, err := q.Get(ctx, who, ids...)
	if err != nil {
		return nil, err
	}
	return ts, q.follow(ctx, ts)
}

// follow puts the last successor in the place of each task that was retried. One whose
// successor is about to be written stays.
func (q *Queue) follow(ctx context.Context, ts []*tasks.Task) error {
	moved := make([]int, 0, len(ts))
	for i := range ts {
		moved = append(moved, i)
	}
	for len(moved) > 0 {
		keys, which := []key{}, []int{}
		for _, i := range moved {
			if t := ts[i]; t != nil && t.State == tasks.Moved {
				if k, err := keyOf(t.MovedTo); err == nil {
					keys, which = append(keys, k), append(which, i)
				}
			}
		}
		next, err := q.tasksAt(ctx, keys)
		if err != nil {
			return err
		}
		moved = moved[:0]
		for k, i := range which {
			if next[k] != nil {
				ts[i] = next[k]
				moved = append(moved, i)
			}
		}
	}
	return nil
}

// one is a task that the asker may see.
func (q *Queue) one(ctx context.Context, who Who, id string) (*tasks.Task, error) {
	k, err := keyOf(id)
	if err != nil || k.n == 0 {
		return nil, fmt.Errorf("task %q: %w", id, ErrMissing)
	}
	ts, err := q.Get(ctx, who, id)
	if err == nil && ts[0] == nil {
		err = fmt.Errorf("task %s: %w", id, ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	return ts[0], nil
}

// Job is the record of a job. It must not be changed.
func (q *Queue) Job(ctx context.Context, who Who, id string) (*tasks.Job, error) {
	k, err := keyOf(id)
	if err != nil || k.n != 0 {
		return nil, fmt.Errorf("job %q: %w", id, ErrMissing)
	}
	j, _, err := q.job(ctx, id)
	if err == nil && (j == nil || !who.sees(j.Owner) || j.Deleted) {
		err = fmt.Errorf("job %s: %w", id, ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

// JobNamed is the newest job of that name, of the asker where he has one.
func (q *Queue) JobNamed(ctx context.Context, who Who, name string) (*tasks.Job, error) {
	for _, owner := range []string{who.Owner, ""} {
		rows, _, err := q.Jobs(ctx, who, index.Filter{Name: name, Owner: owner, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			return q.Job(ctx, who, rows[0].ID)
		}
	}
	return nil, fmt.Errorf("job of name %q: %w", name, ErrMissing)
}

// Row is a job as listings have it, with counts by state.
func (q *Queue) Row(ctx context.Context, who Who, id string) (index.JobRow, error) {
	if err := q.sync(ctx); err != nil {
		return index.JobRow{}, err
	}
	row, ok, err := q.index.Job(ctx, id)
	if err == nil && (!ok || !who.sees(row.Owner)) {
		err = fmt.Errorf("job %.60q: %w", id, ErrMissing)
	}
	return row, err
}

// Names are those of the elements of a job; nil where they have none.
func (q *Queue) Names(ctx context.Context, j *tasks.Job) ([]string, error) {
	if j.Over.NamesRef == "" {
		return j.Over.Names, nil
	}
	data, err := q.blobs.Bytes(ctx, j.Over.NamesRef, 1<<30)
	if err != nil {
		return nil, fmt.Errorf("names of the elements of job %s: %w", j.ID, err)
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("names of the elements of job %s: %w", j.ID, err)
	}
	return names, nil
}

// Jobs lists jobs, and says where the next page begins. It sees all that has been
// changed by calls of this Queue before. A Filter.Owner other than the asker's finds
// nothing for who may not see it; "" is all that he may see.
func (q *Queue) Jobs(ctx context.Context, who Who, f index.Filter) ([]index.JobRow, string, error) {
	if !who.narrow(&f) {
		return nil, "", nil
	}
	if err := q.sync(ctx); err != nil {
		return nil, "", err
	}
	return q.index.Jobs(ctx, f)
}

// Tasks lists tasks, as Jobs does jobs.
func (q *Queue) Tasks(ctx context.Context, who Who, f index.Filter) ([]index.TaskRow, string, error) {
	if !who.narrow(&f) {
		return nil, "", nil
	}
	if err := q.sync(ctx); err != nil {
		return nil, "", err
	}
	return q.index.Tasks(ctx, f)
}

// Counts counts tasks by state, as Jobs lists jobs.
func (q *Queue) Counts(ctx context.Context, who Who, f index.Filter) (map[tasks.State]int64, error) {
	if !who.narrow(&f) {
		return map[tasks.State]int64{}, nil
	}
	if err := q.sync(ctx); err != nil {
		return nil, err
	}
	return q.index.Counts(ctx, f)
}

// narrow limits f to what w may see, and reports whether there can be anything.
func (w Who) narrow(f *index.Filter) bool {
	if w.Admin || w.Read {
		return true
	}
	if f.Owner != "" && f.Owner != w.Owner {
		return false
	}
	f.Owner = w.Owner
	return true
}

// Position is how many tasks stand before a PENDING one in its queue; -1 for others, and
// for one that is held.
func (q *Queue) Position(ctx context.Context, who Who, id string) (int64, error) {
	t, err := q.one(ctx, who, id)
	if err != nil {
		return 0, err
	}
	if t.State != tasks.Pending || t.Held {
		return -1, nil
	}
	q.last.see(t.Rev)
	if err := q.sync(ctx); err != nil {
		return 0, err
	}
	return q.index.Position(ctx, index.TaskRow{
		Job: t.Job, N: t.N, State: t.State, Rev: t.Rev, Owner: t.Owner, Queue: t.Queue, Lane: t.Lane,
		Held: t.Held, Submitted: t.Submitted, NotBefore: t.NotBefore,
	})
}

// How long listings wait for the index. One that is being made anew may be far behind,
// and says so.
const (
	syncWait    = 5 * time.Second
	rebuildWait = time.Second
)

// sync waits until the index has what this Queue has written.
func (q *Queue) sync(ctx context.Context) error {
	most := syncWait
	if q.index.Status().Rebuilding {
		most = rebuildWait
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := q.index.Sync(limited, q.last.get()); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// highest is the highest number seen.
type highest struct{ n atomic.Uint64 }

func (h *highest) get() uint64 { return h.n.Load() }

func (h *highest) see(n uint64) {
	for {
		old := h.n.Load()
		if n <= old || h.n.CompareAndSwap(old, n) {
			return
		}
	}
}

// catchUp waits, not for long, until the index has told of every change so far.
func (q *Queue) catchUp(ctx context.Context) error {
	seq, err := q.broker.LastSeq(ctx)
	if err != nil {
		return err
	}
	q.last.see(seq)
	return q.sync(ctx)
}

// level is catchUp, however long it takes: for those who decide by what the index says.
func (q *Queue) level(ctx context.Context) error {
	seq, err := q.broker.LastSeq(ctx)
	if err != nil {
		return err
	}
	return q.index.Sync(ctx, seq)
}
