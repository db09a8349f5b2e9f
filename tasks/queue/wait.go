package queue

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// Until says when a wait is over.
type Until string

const (
	All        Until = "all"         // every task has ended
	Any        Until = "any"         // one of ids has ended: a task, or all tasks of a job
	FirstError Until = "first_error" // a task has failed, or all have ended
)

// WaitResult is how far it is.
type WaitResult struct {
	Done    bool
	Total   int64                 // tasks
	States  map[tasks.State]int64 // of them
	Ended   []string              // of ids, at most MaxEnded
	Failed  []string              // tasks, at most MaxFailed
	Missing []string              // of ids, at most MaxFailed
}

// What a WaitResult names at most.
const (
	MaxEnded  = 1000
	MaxFailed = 100
)

// maxTracked is up to how many tasks of a job are followed one by one; larger jobs are
// counted by the index, which is some milliseconds behind.
const maxTracked = 20000

// Wait returns when what until says has come, or, with Done false and no error, when
// ctx ends. Tasks that were retried are followed. Missing ids count as ended.
func (q *Queue) Wait(ctx context.Context, who Who, ids []string, until Until) (WaitResult, error) {
	return q.waitFor(ctx, who, ids, until, false)
}

// HowFar is what Wait would return now, without any wait.
func (q *Queue) HowFar(ctx context.Context, who Who, ids []string, until Until) (WaitResult, error) {
	return q.waitFor(ctx, who, ids, until, true)
}

func (q *Queue) waitFor(ctx context.Context, who Who, ids []string, until Until, once bool) (WaitResult, error) {
	if until != All && until != Any && until != FirstError {
		return WaitResult{}, invalid("until", "%q is none of %s, %s and %s", until, All, Any, FirstError)
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for most := q.tracked; ; most = math.MaxInt {
		w := &wait{q: q, until: until, ids: ids, maxTracked: most}
		if err := w.resolve(ctx, who); err != nil && ctx.Err() != nil {
			return WaitResult{}, nil
		} else if err != nil {
			return WaitResult{}, err
		}
		f := &watch{q: q, targets: w.targets, see: w.see, settled: w.settled, recount: w.recount, once: once}
		err := f.run(ctx)
		if errors.Is(err, errRetried) {
			continue
		}
		if err != nil && ctx.Err() != nil {
			err = nil
		}
		return w.result(), err
	}
}

// errRetried says that counts do not tell how far a job is, since tasks were retried.
var errRetried = errors.New("tasks were retried")

// wait is one call of Wait. Each target has the state of its tasks, or its counts.
type wait struct {
	q     *Queue
	until Until

	maxTracked int

	ids     []string // of the targets, and those missing
	missing []string
	targets []target
	names   []string              // id of each target
	states  [][]tasks.State       // of each target's tasks
	open    []int64               // of each target: tasks that have not ended
	counts  map[tasks.State]int64 // of tasks followed one by one
	big     []map[tasks.State]int64
	failed  map[place]string
	ended   int // targets
	failing int64
}

// resolve finds out what ids are.
func (w *wait) resolve(ctx context.Context, who Who) error {
	w.counts, w.failed = map[tasks.State]int64{}, map[place]string{}
	keys := make([]key, 0, len(w.ids))
	for _, id := range w.ids {
		if k, err := keyOf(id); err == nil {
			keys = append(keys, k)
		} else {
			w.missing = append(w.missing, id)
		}
	}
	seen, err := w.q.seen(ctx, who, keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		switch n := seen[i]; {
		case n == 0 && k.n == 0:
			w.missing = append(w.missing, k.job)
		case n == 0:
			w.missing = append(w.missing, k.id())
		case k.n > 0:
			w.add(k.id(), target{job: k.job, n: k.n}, 1)
		default:
			w.add(k.job, target{job: k.job, from: 1, to: n, counted: n > w.maxTracked}, n)
		}
	}
	return nil
}

func (w *wait) add(id string, t target, tracked int) {
	w.targets, w.names, w.open = append(w.targets, t), append(w.names, id), append(w.open, int64(tracked))
	w.big = append(w.big, nil)
	if t.counted {
		w.states = append(w.states, nil)
		return
	}
	states := make([]tasks.State, tracked)
	for i := range states {
		states[i] = tasks.Pending
	}
	w.counts[tasks.Pending] += int64(tracked)
	w.states = append(w.states, states)
}

// see is told the state of a task.
func (w *wait) see(p, n int, t *tasks.Task) error {
	i := n - 1
	if w.targets[p].n > 0 {
		i = 0
	}
	was := w.states[p][i]
	now := t.State
	if was == now {
		return nil
	}
	w.q.last.see(t.Rev) // who has waited sees it in lists from then on
	w.states[p][i] = now
	w.counts[was]--
	w.counts[now]++
	over := func(s tasks.State) bool { return s.Final() || s == tasks.Missing }
	if over(was) != over(now) {
		if w.open[p] == 0 {
			w.ended--
		}
		if over(now) {
			w.open[p]--
		} else {
			w.open[p]++
		}
		if w.open[p] == 0 {
			w.ended++
		}
	}
	if was.Failed() && !now.Failed() {
		w.failing--
		delete(w.failed, place{p, n})
	}
	if now.Failed() && !was.Failed() {
		w.failing++
		if len(w.failed) < MaxFailed {
			w.failed[place{p, n}] = t.ID()
		}
	}
	return nil
}

// recount counts a large job. Where tasks of it were retried, they are followed one by
// one from then on.
func (w *wait) recount(ctx context.Context, p int, rev uint64) error {
	if err := w.q.index.Sync(ctx, rev); err != nil {
		return err
	}
	row, ok, err := w.q.index.Job(ctx, w.targets[p].job)
	if err != nil {
		return err
	}
	if !ok {
		row.Counts = map[tasks.State]int64{tasks.Missing: int64(w.targets[p].to)}
	}
	if row.Counts[tasks.Moved] > 0 {
		return errRetried
	}
	there := int64(0)
	for _, n := range row.Counts {
		there += n
	}
	// Those that were deleted are not to come, as others that are not there yet are.
	if gone := min(int64(row.Dropped), int64(w.targets[p].to)-there); gone > 0 {
		row.Counts[tasks.Missing] = gone
	}
	was := w.open[p]
	if was == 0 {
		w.ended--
	}
	w.failing -= failures(w.big[p])
	w.big[p] = row.Counts
	w.failing += failures(row.Counts)
	w.open[p] = int64(w.targets[p].to)
	for s, n := range row.Counts {
		if s.Final() || s == tasks.Missing {
			w.open[p] -= n
		}
	}
	if w.open[p] == 0 {
		w.ended++
	}
	return w.nameFailed(ctx, p, row.Counts)
}

func failures(counts map[tasks.State]int64) (n int64) {
	for s, c := range counts {
		if s.Failed() {
			n += c
		}
	}
	return n
}

// failedStates are those of tasks that have failed.
var failedStates = []tasks.State{tasks.Error, tasks.Cancelled, tasks.Died, tasks.Timeout, tasks.Impossible}

func (w *wait) nameFailed(ctx context.Context, p int, counts map[tasks.State]int64) error {
	if failures(counts) == 0 || len(w.failed) >= MaxFailed {
		return nil
	}
	rows, _, err := w.q.index.Tasks(ctx, index.Filter{Job: w.targets[p].job, States: failedStates, Limit: MaxFailed, Oldest: true})
	for _, r := range rows {
		if len(w.failed) < MaxFailed {
			w.failed[place{p, r.N}] = r.ID()
		}
	}
	return err
}

// settled reports whether the wait is over.
func (w *wait) settled() (bool, error) {
	all := w.ended == len(w.targets)
	switch w.until {
	case Any:
		return all || w.ended+len(w.missing) > 0, nil
	case FirstError:
		return all || w.failing > 0, nil
	}
	return all, nil
}

func (w *wait) result() WaitResult {
	r := WaitResult{States: map[tasks.State]int64{}, Missing: w.missing[:min(len(w.missing), MaxFailed)]}
	r.Done, _ = w.settled()
	add := func(counts map[tasks.State]int64) {
		for s, n := range counts {
			if n != 0 {
				r.States[s] += n
				r.Total += n
			}
		}
	}
	add(w.counts)
	for p, counts := range w.big {
		add(counts)
		if w.open[p] == 0 && len(r.Ended) < MaxEnded {
			r.Ended = append(r.Ended, w.names[p])
		}
	}
	for _, id := range w.failed {
		r.Failed = append(r.Failed, id)
	}
	slices.Sort(r.Failed)
	return r
}
