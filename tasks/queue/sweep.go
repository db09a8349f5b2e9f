package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// orphans sends messages anew of tasks that may be claimed and have none: all of them
// when this process begins to lead, since it may be a crash that it follows, then those
// of queues that have fewer messages than tasks, twice in a row.
func (l *leader) orphans(ctx context.Context, first bool) error {
	if first {
		return l.pushAll(ctx, "", time.Now())
	}
	stats, err := l.q.index.QueueStats(ctx)
	if err != nil {
		return err
	}
	short := map[string]bool{}
	for queue, s := range stats {
		if s.Pending == s.Held {
			continue
		}
		want := s.Pending - s.Held + s.Running // what runs keeps its message until it has ended
		queued, err := l.q.broker.Queued(ctx, queue)
		if err != nil {
			return err
		}
		short[queue] = queued < want
		if short[queue] && l.short[queue] {
			if err := l.pushAll(ctx, queue, time.Now().Add(-l.q.o.Sweep)); err != nil {
				return err
			}
		}
	}
	l.short = short
	return nil
}

// pushAll sends the messages of tasks that have not changed since before.
func (l *leader) pushAll(ctx context.Context, queue string, before time.Time) error {
	f := index.Filter{Queue: queue, States: []tasks.State{tasks.Pending}, Limit: 2 * chunk, Oldest: true}
	for {
		rows, next, err := l.q.index.Tasks(ctx, f)
		if err != nil {
			return err
		}
		ts := make([]*tasks.Task, 0, len(rows))
		for _, r := range rows {
			if !r.Held && !r.Changed.After(before) {
				ts = append(ts, &tasks.Task{Job: r.Job, N: r.N, State: r.State, Queue: r.Queue, Lane: r.Lane})
			}
		}
		if err := l.q.push(ctx, ts); err != nil {
			return err
		}
		if err := l.recall(ctx, f, ts); err != nil {
			return err
		}
		if f.After = next; next == "" {
			return nil
		}
	}
}

// recall takes messages back that were sent by what f found before, of tasks that were
// withheld, ended or moved meanwhile: whoever did that took back what was there by then.
func (l *leader) recall(ctx context.Context, f index.Filter, sent []*tasks.Task) error {
	if len(sent) == 0 {
		return nil
	}
	if err := l.q.level(ctx); err != nil {
		return err
	}
	rows, _, err := l.q.index.Tasks(ctx, f)
	if err != nil {
		return err
	}
	wait := map[broker.Work]bool{}
	for _, r := range rows {
		wait[broker.Work{Queue: r.Queue, Lane: r.Lane, Job: r.Job, N: r.N}] = !r.Held
	}
	var doubtful []*tasks.Task
	for _, t := range sent {
		if !wait[work(t)] {
			doubtful = append(doubtful, t)
		}
	}
	return l.q.recall(ctx, doubtful)
}

// recall takes messages of tasks back that do not wait there any more, by their records.
func (q *Queue) recall(ctx context.Context, sent []*tasks.Task) error {
	keys := make([]key, len(sent))
	for i, t := range sent {
		keys[i] = key{t.Job, t.N}
	}
	now, err := q.tasksAt(ctx, keys)
	if err != nil {
		return err
	}
	var away []*tasks.Task
	for i, t := range sent {
		if n := now[i]; n == nil || n.Held || n.State != tasks.Pending && n.State != tasks.Running || n.Queue != t.Queue || n.Lane != t.Lane {
			away = append(away, t)
		}
	}
	q.withdraw(ctx, workOf(away))
	return nil
}

// lost takes tasks from workers that have not been heard of for LostAfter. Mostly their
// messages have come to other workers before; where those got lost, this is what is left.
func (l *leader) lost(ctx context.Context, _ bool) error {
	alive, err := l.q.alive(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	var gone []key
	absent := map[string]time.Time{}
	err = l.q.eachRunning(ctx, func(rows []index.TaskRow) error {
		for _, r := range rows {
			if _, there := alive[r.Worker]; there {
				continue
			}
			since, known := l.absent[r.Worker]
			if !known {
				since = now
			}
			absent[r.Worker] = since
			if now.Sub(since) >= l.q.o.LostAfter && now.Sub(r.Changed) >= l.q.o.LostAfter {
				gone = append(gone, key{r.Job, r.N})
			}
		}
		return nil
	})
	l.absent = absent
	if err != nil {
		return err
	}
	ts, err := l.q.tasksAt(ctx, gone)
	if err != nil {
		return err
	}
	// One that has the task by now may be absent only for this moment.
	absent = maps.Clone(absent)
	maps.DeleteFunc(absent, func(_ string, since time.Time) bool { return now.Sub(since) < l.q.o.LostAfter })
	return l.q.lose(ctx, present(ts), absent)
}

// lose ends the attempts of workers that are gone.
func (q *Queue) lose(ctx context.Context, ts []*tasks.Task, gone map[string]time.Time) error {
	errs := q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		if t.State != tasks.Running || t.Lease == nil {
			return false, nil
		}
		if _, ok := gone[t.Lease.Worker]; !ok {
			return false, nil
		}
		j, err := q.jobCached(ctx, t.Job)
		if err != nil || j == nil {
			return false, err
		}
		q.log.Warn("a worker is lost, and a task with it", "worker", t.Lease.Worker, "task", t.ID())
		now := time.Now().UTC()
		err = t.Lose(j, now)
		t.Held = t.State == tasks.Pending && t.NotBefore.After(now)
		return true, err
	})
	if err := firstError(errs); err != nil {
		return err
	}
	failpoint.Hit("lose-records")
	return q.push(ctx, ts)
}

// incomplete finishes what was cut off: submissions, retries and deletions.
func (l *leader) incomplete(ctx context.Context, first bool) error {
	before := time.Now().Add(-deletedLongAgo)
	if first {
		before = time.Now()
	}
	after := ""
	for {
		rows, next, err := l.q.index.Incomplete(ctx, before, after, chunk)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := l.q.complete(ctx, r.ID); err != nil {
				return fmt.Errorf("finish job %s: %w", r.ID, err)
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// complete makes the tasks of a job that are missing, or finishes its deletion.
func (q *Queue) complete(ctx context.Context, job string) error {
	j, _, err := q.job(ctx, job)
	switch {
	case err != nil:
		return err
	case j == nil:
		return q.removeStrays(ctx, job)
	case !j.Dropped.IsZero():
		if err := q.finishRemoval(ctx, j); err != nil || j.Deleted {
			return err
		}
	}
	if j.RetriedFrom != "" {
		return q.finishRetry(ctx, j, nil)
	}
	held, err := q.holds(ctx, j)
	if err != nil {
		return err
	}
	for from := 1; from <= j.N; from += chunk {
		there := map[int]bool{}
		err := q.eachOf(ctx, j.ID, from, min(from+chunk-1, j.N), func(ts []*tasks.Task) error {
			for _, t := range ts {
				there[t.N] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		missing := func(yield func(int) bool) {
			for n := from; n <= min(from+chunk-1, j.N); n++ {
				if !there[n] && !j.Dropped.Has(n) && !yield(n) {
					return
				}
			}
		}
		var made []*tasks.Task
		_, err = q.keepTasks(ctx, missing, func(n int) *tasks.Task {
			t := j.New(n)
			t.Held = t.State == tasks.Pending && held
			made = append(made, t)
			return t
		})
		if err == nil { // where the submission goes on, they may have come further by now
			err = q.recall(ctx, made)
		}
		if err != nil {
			return err
		}
	}
	return q.removeDeleted(ctx, j)
}

// removeStrays deletes tasks of which there is no job: a submission that was cut off
// where the engine had stored them before it.
func (q *Queue) removeStrays(ctx context.Context, job string) error {
	var ns []*tasks.Task
	rows, _, err := q.index.Tasks(ctx, index.Filter{Job: job, Limit: index.MaxLimit})
	if err != nil {
		return err
	}
	for _, r := range rows {
		ns = append(ns, &tasks.Task{Job: r.Job, N: r.N, State: r.State, Queue: r.Queue, Lane: r.Lane, Rev: r.Rev})
	}
	return q.removeTasks(ctx, map[string]bool{job: true}, ns)
}

// expired deletes tasks that have been kept for as long as their job says, and that
// nothing waits for: who depends on them may need their results, and whoever leads next
// could not tell that they were COMPLETE. Those that were retried stay with the retry.
func (l *leader) expired(ctx context.Context, _ bool) error {
	var awaited map[string]bool
	kept := map[key]bool{}
	for {
		limit := chunk + 2*len(kept)
		ids, err := l.q.index.Expired(ctx, time.Now(), limit)
		if err != nil || len(ids) == len(kept) {
			return err
		}
		if awaited == nil {
			// The index may be behind, or be made anew, and not know who waits.
			limited, cancel := context.WithTimeout(ctx, l.q.o.Sweep) // other sweeps come after this one
			err := l.q.level(limited)
			cancel()
			if err != nil {
				return err
			}
			if awaited, err = l.q.index.Awaited(ctx); err != nil {
				return err
			}
			continue
		}
		keys := make([]key, 0, len(ids))
		for _, id := range ids {
			if k, err := keyOf(id); err == nil && !kept[k] {
				keys = append(keys, k)
			}
		}
		ts, err := l.q.tasksAt(ctx, keys)
		if err != nil {
			return err
		}
		ts = present(ts)
		last := slices.Clone(ts)
		if err := l.q.follow(ctx, last); err != nil {
			return err
		}
		r := removal{all: map[string]map[int]*tasks.Task{}}
		for i, t := range ts {
			switch {
			case !t.State.Final():
			case last[i].State != t.State: // it was retried, and the retry is found by it
				kept[key{t.Job, t.N}] = true
			case awaited[t.ID()], awaited[t.Job], awaited[t.Origin], t.Origin != "" && awaited[tasks.TaskID(t.Origin, t.RootN)]:
				kept[key{t.Job, t.N}] = true
			default:
				r.add(t)
			}
		}
		if len(r.all) > 0 {
			if err := l.q.remove(ctx, &r); err != nil {
				return err
			}
		}
		if err := l.q.index.Sync(ctx, l.q.last.get()); err != nil || len(ids) < limit {
			return err
		}
	}
}

// blobsEvery is how often blobs are looked through.
const blobsEvery = 10 * time.Minute

// blobs deletes values that nobody refers to and that were put longer ago than BlobGrace.
func (l *leader) blobs(ctx context.Context, _ bool) error {
	if time.Since(l.swept) < blobsEvery {
		return nil
	}
	l.swept = time.Now()
	var refs []string
	flush := func() error {
		err := l.q.sweepBlobs(ctx, refs)
		refs = refs[:0]
		return err
	}
	err := l.q.blobs.List(ctx, func(ref string, _ int64, modified time.Time) error {
		if time.Since(modified) < l.q.o.BlobGrace {
			return nil
		}
		if refs = append(refs, ref); len(refs) == chunk {
			return flush()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list values: %w", err)
	}
	if err := flush(); err != nil {
		return err
	}
	return l.q.blobs.Sweep(ctx, time.Now().Add(-24*time.Hour)) // nothing takes a day to put
}

// sweepBlobs deletes those of refs that nobody refers to.
func (q *Queue) sweepBlobs(ctx context.Context, refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	if err := q.level(ctx); err != nil {
		return err
	}
	if q.index.Status().Rebuilding {
		return nil
	}
	used, err := q.index.BlobRefs(ctx, refs)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if used[ref] > 0 {
			continue
		}
		// It may have been put again since it was listed.
		if err := q.blobs.Expire(ctx, ref, time.Now().Add(-q.o.BlobGrace)); err != nil {
			return fmt.Errorf("delete value %.12s…: %w", ref, err)
		}
	}
	return nil
}
