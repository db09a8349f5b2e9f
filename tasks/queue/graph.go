package queue

import (
	"context"
	"slices"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// graph knows which jobs wait for which tasks and jobs, and how far those are. One
// goroutine has it.
type graph struct {
	q       *Queue
	waiters map[string]*waiter // by job
	parents map[string]*parent // by id of a task or job
	byJob   map[string][]*parent
	moved   map[key][]slot // by successors of tasks that were retried
	movedIn map[string]int // slots in moved by job
	dirty   map[*waiter]bool
	fresh   map[string][]*tasks.Task // DEFERRED tasks just heard of, by job

	// released are jobs that waited until lately: tasks of theirs that are still being
	// written need not have their dependencies looked up again.
	released map[string]bool

	// asleep are jobs that have become IMPOSSIBLE lately, with why: tasks of theirs that
	// are still being written become so too. The graph knows nothing else of them: they
	// are looked up again when one that they depend on is in revived.
	asleep  map[string]reason
	revived map[string]bool // ids of tasks that were retried or came back, and of their jobs
}

// maxReleased is how many jobs graph.released and graph.asleep have.
const maxReleased = 10000

// waiter is a job whose tasks wait.
type waiter struct {
	job     string
	parents []*parent
	open    int         // parents that are neither COMPLETE nor failed
	bad     int         // parents that have failed
	state   tasks.State // where its tasks have been brought to: DEFERRED or IMPOSSIBLE; "" is not known
}

// parent is what is waited for: a task, or all tasks of a job.
type parent struct {
	id      string
	job     string
	n       int            // 0 is all
	done    []bool         // by number, or the one: COMPLETE
	revs    []uint64       // by number, or the one: of what is known of it
	left    int            // of those not COMPLETE
	failed  map[int]string // ids by number
	gone    map[int]bool   // of those, deleted or expired
	moved   []key          // successors of those that were retried
	waiters map[*waiter]bool
}

// slot is a place in a parent.
type slot struct {
	p *parent
	n int
}

func newGraph(q *Queue) *graph {
	return &graph{
		q: q, waiters: map[string]*waiter{}, parents: map[string]*parent{}, byJob: map[string][]*parent{},
		moved: map[key][]slot{}, movedIn: map[string]int{}, dirty: map[*waiter]bool{},
		fresh: map[string][]*tasks.Task{}, released: map[string]bool{},
		asleep: map[string]reason{}, revived: map[string]bool{},
	}
}

// watches reports whether changes of the tasks of a job matter.
func (g *graph) watches(job string) bool { return len(g.byJob[job]) > 0 || g.movedIn[job] > 0 }

// wait takes in a job that depends on others, whose tasks are in state: "" where that
// is not known.
func (g *graph) wait(ctx context.Context, job string, on []string, state tasks.State) error {
	if g.waiters[job] != nil {
		return nil
	}
	w := &waiter{job: job, state: state}
	var single []*parent
	for _, id := range on {
		p, made, err := g.parent(ctx, id)
		if err != nil {
			return err
		}
		if made && p.n > 0 {
			single = append(single, p)
		}
		w.parents = append(w.parents, p)
	}
	keys := make([]key, len(single))
	for i, p := range single {
		keys[i] = key{p.job, p.n}
	}
	ts, err := g.q.tasksAt(ctx, keys)
	if err != nil {
		return err
	}
	for i, t := range ts {
		if t == nil {
			t = missing(keys[i])
		}
		if err := g.set(ctx, slot{single[i], single[i].n}, t); err != nil {
			return err
		}
	}
	for _, p := range w.parents {
		p.waiters[w] = true
		w.count(p.condition(), 1)
	}
	g.waiters[job] = w
	g.dirty[w] = true
	return nil
}

func missing(k key) *tasks.Task { return &tasks.Task{Job: k.job, N: k.n, State: tasks.Missing} }

// parent is what an id stands for. One that was made now has been read where it is a job.
func (g *graph) parent(ctx context.Context, id string) (p *parent, made bool, err error) {
	if p := g.parents[id]; p != nil {
		return p, false, nil
	}
	k, err := keyOf(id)
	if err != nil {
		return nil, false, err
	}
	p = &parent{id: id, job: k.job, n: k.n, left: 1, failed: map[int]string{}, gone: map[int]bool{}, waiters: map[*waiter]bool{}}
	p.done, p.revs = make([]bool, 1), make([]uint64, 1)
	if k.n == 0 {
		if err := g.readJob(ctx, p); err != nil {
			return nil, false, err
		}
	}
	g.parents[id] = p
	g.byJob[p.job] = append(g.byJob[p.job], p)
	return p, true, nil
}

// readJob looks at all tasks of a job. Those that are not there, and have not been
// deleted, are about to be written.
func (g *graph) readJob(ctx context.Context, p *parent) error {
	j, _, err := g.q.job(ctx, p.job)
	if err != nil {
		return err
	}
	if j == nil {
		p.failed[0], p.gone[0] = p.id, true
		return nil
	}
	p.done, p.revs, p.left = make([]bool, j.N), make([]uint64, j.N), j.N
	for n := range j.Dropped.All {
		p.failed[n] = tasks.TaskID(p.job, n)
		p.gone[n] = true
	}
	return g.q.eachOf(ctx, p.job, 1, j.N, func(ts []*tasks.Task) error {
		for _, t := range ts {
			if err := g.set(ctx, slot{p, t.N}, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// changed takes in a change of a task.
func (g *graph) changed(ctx context.Context, t *tasks.Task) error {
	for _, p := range g.byJob[t.Job] {
		if p.n == t.N || p.n == 0 && t.N <= len(p.done) {
			if err := g.set(ctx, slot{p, t.N}, t); err != nil {
				return err
			}
		}
	}
	for _, s := range slices.Clone(g.moved[key{t.Job, t.N}]) {
		if err := g.set(ctx, s, t); err != nil {
			return err
		}
	}
	return nil
}

// set says how a task in a place of a parent stands, unless something later is known. A
// successor takes the place of one that was retried; one that has been COMPLETE and is
// gone stays so.
func (g *graph) set(ctx context.Context, s slot, t *tasks.Task) error {
	i := s.n - 1
	if s.p.n > 0 {
		i = 0
	}
	if t.Rev < s.p.revs[i] {
		return nil
	}
	s.p.revs[i] = t.Rev
	switch {
	case t.State == tasks.Moved:
		return g.follow(ctx, s, t)
	case t.State == tasks.Missing && s.p.done[i]:
		return nil
	}
	was := s.p.condition()
	if done := t.State == tasks.Complete; s.p.done[i] != done {
		s.p.done[i] = done
		if done {
			s.p.left--
		} else {
			s.p.left++
		}
	}
	if t.State == tasks.Missing || t.State.Failed() {
		s.p.failed[s.n], s.p.gone[s.n] = t.ID(), t.State == tasks.Missing
	} else {
		delete(s.p.failed, s.n)
	}
	if now := s.p.condition(); now != was {
		for w := range s.p.waiters {
			w.count(was, -1)
			w.count(now, 1)
			g.dirty[w] = true
		}
	}
	return nil
}

// follow puts the successor of a task that was retried into its place. It may not be
// there yet, and is heard of then.
func (g *graph) follow(ctx context.Context, s slot, t *tasks.Task) error {
	k, err := keyOf(t.MovedTo)
	if err != nil {
		return err
	}
	if !slices.Contains(g.moved[k], s) {
		g.moved[k] = append(g.moved[k], s)
		g.movedIn[k.job]++
		s.p.moved = append(s.p.moved, k)
	}
	ts, err := g.q.tasksAt(ctx, []key{k})
	if err != nil {
		return err
	}
	next := ts[0]
	if next == nil {
		next = &tasks.Task{Job: k.job, N: k.n, State: tasks.Pending, Rev: t.Rev}
	}
	return g.set(ctx, s, next)
}

// condition is COMPLETE, IMPOSSIBLE or, while it is open, DEFERRED.
func (p *parent) condition() tasks.State {
	switch {
	case len(p.failed) > 0:
		return tasks.Impossible
	case p.left > 0:
		return tasks.Deferred
	}
	return tasks.Complete
}

func (w *waiter) count(condition tasks.State, by int) {
	switch condition {
	case tasks.Impossible:
		w.bad += by
	case tasks.Deferred:
		w.open += by
	}
}

// condition is where its tasks belong: COMPLETE stands for PENDING, or what comes after.
func (w *waiter) condition() tasks.State {
	switch {
	case w.bad > 0:
		return tasks.Impossible
	case w.open > 0:
		return tasks.Deferred
	}
	return tasks.Complete
}

// reason is why tasks are IMPOSSIBLE: ids of what has failed, or is no more.
type reason struct {
	failed []string
	gone   bool // the first of them
}

func (w *waiter) reason() (r reason) {
	for _, p := range w.parents {
		for n, id := range p.failed {
			if len(r.failed) == 0 {
				r.gone = p.gone[n]
			}
			if r.failed = append(r.failed, id); len(r.failed) == 5 {
				return r
			}
		}
	}
	return r
}

// deferred takes in a task that has become DEFERRED, or was written so.
func (g *graph) deferred(ctx context.Context, t *tasks.Task) error {
	g.fresh[t.Job] = append(g.fresh[t.Job], t)
	if _, asleep := g.asleep[t.Job]; asleep || g.waiters[t.Job] != nil || g.released[t.Job] {
		return nil
	}
	j, _, err := g.q.job(ctx, t.Job)
	if err != nil || j == nil {
		return err
	}
	return g.wait(ctx, j.ID, j.DependsOn, tasks.Deferred)
}

// settle brings tasks to where they belong after what has been taken in.
func (g *graph) settle(ctx context.Context) error {
	fresh := g.fresh
	g.fresh = map[string][]*tasks.Task{}
	for len(g.dirty)+len(g.revived) > 0 { // what comes back may bring back others
		if err := g.revive(ctx); err != nil {
			return err
		}
		for w := range g.dirty {
			if err := g.apply(ctx, w); err != nil {
				return err
			}
			delete(g.dirty, w)
		}
	}
	for job, ts := range fresh {
		w := g.waiters[job]
		switch {
		case w == nil && g.released[job]:
			j, err := g.q.jobCached(ctx, job)
			if err != nil {
				return err
			}
			if j == nil { // deleted in the meantime
				continue
			}
			if err := g.q.release(ctx, j, ts); err != nil {
				return err
			}
		case w == nil && g.asleep[job].failed != nil:
			if err := g.q.forbid(ctx, ts, g.asleep[job]); err != nil {
				return err
			}
		}
	}
	if len(g.released) > maxReleased {
		clear(g.released)
	}
	if len(g.asleep) > maxReleased {
		clear(g.asleep)
	}
	return nil
}

// movedAway takes in that a task was retried: what is IMPOSSIBLE because of it may be so no
// longer.
func (g *graph) movedAway(t *tasks.Task) {
	g.revived[t.Job], g.revived[t.ID()] = true, true
	if t.Origin != "" { // what waits may name the first of the chain
		g.revived[t.Origin], g.revived[tasks.TaskID(t.Origin, t.RootN)] = true, true
	}
}

// revive takes those IMPOSSIBLE jobs in again that depend on what was retried.
func (g *graph) revive(ctx context.Context) error {
	if len(g.revived) == 0 {
		return nil
	}
	if err := g.q.index.Sync(ctx, g.q.last.get()); err != nil { // what this server has made IMPOSSIBLE
		return err
	}
	err := g.q.eachWaiting(ctx, []tasks.State{tasks.Impossible}, func(r index.JobRow) error {
		if !slices.ContainsFunc(r.DependsOn, func(id string) bool { return g.revived[id] }) {
			return nil
		}
		delete(g.asleep, r.ID)
		return g.wait(ctx, r.ID, r.DependsOn, tasks.Impossible)
	})
	if err == nil {
		clear(g.revived)
	}
	return err
}

// apply brings the tasks of a job to where they belong.
func (g *graph) apply(ctx context.Context, w *waiter) error {
	was, now := w.state, w.condition()
	w.state = now
	if was == now {
		if now == tasks.Impossible {
			g.sleep(w)
		}
		return nil
	}
	j, _, err := g.q.job(ctx, w.job)
	if err != nil {
		return err
	}
	if j == nil {
		g.forget(w.job)
		return nil
	}
	err = g.q.eachOf(ctx, j.ID, 1, j.N, func(ts []*tasks.Task) error {
		if now == tasks.Impossible {
			return g.q.forbid(ctx, ts, w.reason())
		}
		if err := g.q.allow(ctx, ts); err != nil {
			return err
		}
		if was == tasks.Impossible || was == "" {
			for _, t := range ts {
				g.revived[j.ID], g.revived[t.ID()] = true, true
			}
		}
		if now == tasks.Deferred {
			return nil
		}
		return g.q.release(ctx, j, ts)
	})
	switch {
	case err != nil:
	case now == tasks.Complete:
		g.forget(w.job)
		g.released[w.job] = true
	case now == tasks.Impossible:
		g.sleep(w)
	}
	return err
}

// sleep forgets a job whose tasks are IMPOSSIBLE, of which there may be very many.
func (g *graph) sleep(w *waiter) {
	g.asleep[w.job] = w.reason()
	g.forget(w.job)
}

// forget drops a job that waits no longer, and what nobody else waits for.
func (g *graph) forget(job string) {
	w := g.waiters[job]
	if w == nil {
		return
	}
	delete(g.waiters, job)
	delete(g.dirty, w)
	for _, p := range w.parents {
		if delete(p.waiters, w); len(p.waiters) == 0 {
			g.drop(p)
		}
	}
}

func (g *graph) drop(p *parent) {
	delete(g.parents, p.id)
	same := func(o *parent) bool { return o == p }
	if g.byJob[p.job] = slices.DeleteFunc(g.byJob[p.job], same); len(g.byJob[p.job]) == 0 {
		delete(g.byJob, p.job)
	}
	for _, k := range p.moved {
		slots := g.moved[k]
		left := slices.DeleteFunc(slices.Clone(slots), func(s slot) bool { return s.p == p })
		if g.movedIn[k.job] -= len(slots) - len(left); g.movedIn[k.job] == 0 {
			delete(g.movedIn, k.job)
		}
		if g.moved[k] = left; len(left) == 0 {
			delete(g.moved, k)
		}
	}
}
