package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// ErrClosed is what waits end with when the Queue is closed.
var ErrClosed = errors.New("the queue is closed")

// watch follows tasks: it reads them and then hears of every change, also of those that
// take their place when they are retried. It has one subscription to the index.
type watch struct {
	q       *Queue
	targets []target
	whole   map[string]int  // targets that are all tasks of a job, by job
	single  map[key][]place // the others, and successors of retried tasks
	counted map[string]int  // targets that are only counted, by job
	once    bool            // it is over when all have been told
	known   map[string]bool // jobs that the subscription has
	revs    [][]uint64      // of each target's tasks: the latest that has been told

	// see is told of each task as it is: with the target's place and the number of the
	// task in it, which a successor has from the one that it replaces. It may be told
	// the same again. State is MISSING for one that is not there.
	see func(place int, n int, t *tasks.Task) error
	// settled is asked after all have been told, and after each change: is it over?
	settled func() (over bool, err error)
	// recount is asked to count a target that is only counted, as of a revision.
	recount func(ctx context.Context, place int, rev uint64) error
}

// target is what is followed: task N of a job, or, with N 0, all of them from From to To.
type target struct {
	job      string
	n        int
	from, to int
	counted  bool
}

// place is a task's, among those followed.
type place struct{ target, n int }

// recountEvery is how often targets are counted that change all the time.
const recountEvery = 20 * time.Millisecond

// run returns when settled says so, or with why it ended before.
func (w *watch) run(ctx context.Context) error {
	w.known = map[string]bool{}
	for _, t := range w.targets {
		w.known[t.job] = true
		switch {
		case t.counted:
			w.revs = append(w.revs, nil)
		case t.n > 0:
			w.revs = append(w.revs, make([]uint64, 1))
		default:
			w.revs = append(w.revs, make([]uint64, max(t.to-t.from+1, 0)))
		}
	}
	for {
		again, err := w.session(ctx)
		if err != nil || !again {
			return err
		}
	}
}

// session is run until it has to begin anew: changes were missed, or there are tasks of
// jobs that the subscription does not have.
func (w *watch) session(ctx context.Context) (again bool, err error) {
	jobs := make([]string, 0, len(w.known))
	for job := range w.known {
		jobs = append(jobs, job)
	}
	events, stop := w.q.index.Subscribe(func(*tasks.Task) bool { return true }, jobs...)
	defer stop()
	if again, err := w.load(ctx); again || err != nil || w.once {
		return again, err
	}
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	dirty := map[int]uint64{}
	// Several tasks are not read in one moment: what seems over may never have been so,
	// until all changes from before have been taken in. One task, or count, is.
	sure, caught := len(w.targets) == 1 && len(w.revs[0]) <= 1, false
	for {
		if len(dirty) == 0 { // counts are as of the last change
			over, err := w.settled()
			if err == nil && over && !sure {
				if !caught {
					err = w.q.catchUp(ctx)
				}
				caught, sure = true, len(events) == 0
			}
			if over && sure || err != nil {
				return false, err
			}
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-w.q.closed:
			return false, ErrClosed
		case <-timer.C:
			for place, rev := range dirty {
				if err := w.recount(ctx, place, rev); err != nil {
					return false, err
				}
			}
			clear(dirty)
		case e, ok := <-events:
			if !ok {
				return false, ErrClosed
			}
			if e.Gap {
				return true, nil
			}
			if p, counted := w.counted[e.Task.Job]; counted {
				if len(dirty) == 0 {
					timer.Reset(recountEvery)
				}
				dirty[p] = max(dirty[p], e.Task.Rev)
			}
			if again, err := w.change(e); again || err != nil {
				return again, err
			}
		}
	}
}

// news reports whether t is later than what has been told of its place: changes come
// after what was read later than they happened, and what is over may be so no longer.
func (w *watch) news(p place, t *tasks.Task) bool {
	rev := &w.revs[p.target][0]
	if w.targets[p.target].n == 0 {
		rev = &w.revs[p.target][p.n-w.targets[p.target].from]
	}
	if t.Rev > 0 && t.Rev < *rev {
		return false
	}
	*rev = max(*rev, t.Rev)
	return true
}

// change passes on a change.
func (w *watch) change(e index.Event) (again bool, err error) {
	t := e.Task
	for _, p := range w.placesOf(t) {
		if !w.news(p, t) {
			continue
		}
		if t.State != tasks.Moved {
			if err := w.see(p.target, p.n, t); err != nil {
				return false, err
			}
			continue
		}
		// The successor is looked up with all that may have become of it by now.
		again = true
		if k, err := keyOf(t.MovedTo); err == nil {
			w.known[k.job] = true
		}
	}
	return again, nil
}

func (w *watch) placesOf(t *tasks.Task) []place {
	ps := w.single[key{t.Job, t.N}]
	if i, ok := w.whole[t.Job]; ok && t.N >= w.targets[i].from && t.N <= w.targets[i].to {
		return append(slices.Clone(ps), place{i, t.N})
	}
	return ps
}

// load reads all that is followed.
func (w *watch) load(ctx context.Context) (again bool, err error) {
	w.whole, w.single, w.counted = map[string]int{}, map[key][]place{}, map[string]int{}
	var keys []key
	var places []place
	flush := func() error {
		missing, err := w.tell(ctx, keys, places)
		again = again || missing
		keys, places = keys[:0], places[:0]
		return err
	}
	for i, t := range w.targets {
		switch {
		case t.counted:
			w.counted[t.job] = i
			seq, err := w.q.broker.LastSeq(ctx)
			if err != nil {
				return false, err
			}
			if err := w.recount(ctx, i, seq); err != nil {
				return false, err
			}
			continue
		case t.n > 0:
			k := key{t.job, t.n}
			w.single[k] = append(w.single[k], place{i, t.n})
			keys, places = append(keys, k), append(places, place{i, t.n})
		default:
			w.whole[t.job] = i
		}
		for n := t.from; t.n == 0 && n <= t.to; n++ {
			keys, places = append(keys, key{t.job, n}), append(places, place{i, n})
			if len(keys) == chunk {
				if err := flush(); err != nil {
					return false, err
				}
			}
		}
		if len(keys) >= chunk {
			if err := flush(); err != nil {
				return false, err
			}
		}
	}
	return again, flush()
}

// tell reads tasks, follows those that were retried, and passes them on. It reports
// whether some are of jobs that the subscription does not have.
func (w *watch) tell(ctx context.Context, keys []key, places []place) (more bool, err error) {
	ts, err := w.q.tasksAt(ctx, keys)
	if err != nil {
		return false, err
	}
	var next []key
	var where []place
	for i, t := range ts {
		if t == nil {
			t = &tasks.Task{Job: keys[i].job, N: keys[i].n, State: tasks.Missing}
		}
		w.news(places[i], t)
		k, err := keyOf(t.MovedTo)
		if t.State != tasks.Moved || err != nil {
			if err := w.see(places[i].target, places[i].n, t); err != nil {
				return false, err
			}
			continue
		}
		if !w.known[k.job] {
			w.known[k.job], more = true, true
		}
		w.single[k] = append(w.single[k], places[i])
		next, where = append(next, k), append(where, places[i])
	}
	if len(next) == 0 {
		return more, nil
	}
	further, err := w.tellSuccessors(ctx, next, where)
	return more || further, err
}

// tellSuccessors is tell for those that may not have been written yet, which are then
// about to be.
func (w *watch) tellSuccessors(ctx context.Context, keys []key, places []place) (more bool, err error) {
	inner := *w
	inner.see = func(p, n int, t *tasks.Task) error {
		if t.State == tasks.Missing {
			t = &tasks.Task{Job: t.Job, N: t.N, State: tasks.Pending}
		}
		return w.see(p, n, t)
	}
	return inner.tell(ctx, keys, places)
}
