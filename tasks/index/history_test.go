package index

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/tasks"
)

// history makes changes at random, each of which is one that the queue could make.
type history struct {
	*model
	t    *rapid.T
	made int
	thin map[string]bool // jobs of which a task has been dropped
	seen map[string]bool // jobs that the index has read: their place is fixed
}

func newHistory(t *rapid.T, s *stream) *history {
	return &history{model: newModel(s), t: t, thin: map[string]bool{}, seen: map[string]bool{}}
}

var (
	owners   = []string{"anna", "ben"}
	queues   = []string{"default", "short", "long"}
	workers  = []string{"w1", "w2", "w3"}
	jobNames = []string{"", "fit", "Fit-Model 2", "größe", "simulate_all"}
	messages = []string{"object 'x' not found", "non-numeric argument", "subscript out of bounds: 7", "Fehler größer 3"}
)

func pickOf[T any](h *history, what string, from []T) T {
	return rapid.SampledFrom(from).Draw(h.t, what)
}

func (h *history) chance(n int) bool { return rapid.IntRange(1, n).Draw(h.t, "chance") == 1 }

func (h *history) number(from, to int) int { return rapid.IntRange(from, to).Draw(h.t, "number") }

func (h *history) tick() time.Time {
	h.now = h.now.Add(time.Duration(h.number(1, 5)) * time.Second)
	return h.now
}

// step makes one change or a few.
func (h *history) step() {
	switch n := h.number(1, 20); {
	case n <= 4 || len(h.order) == 0:
		h.submit()
	case n <= 17:
		for range h.number(1, 8) {
			h.change()
		}
	case n == 18:
		h.rewrite()
	default:
		h.remove()
	}
}

func (h *history) submit() {
	j := &tasks.Job{ID: h.id(), Name: pickOf(h, "name", jobNames), Owner: pickOf(h, "owner", owners), Created: h.tick(),
		N: h.number(0, 5), Queue: pickOf(h, "queue", queues), Lane: tasks.Lane(h.number(0, 3)), MaxRunning: h.number(0, 1)}
	j.Array = j.N != 1
	j.Call.Code = tasks.Value{Ref: ref(h.number(1, 3)), Size: int64(10 * h.number(0, 5) * max(j.N, 1))}
	if h.chance(2) {
		j.Labels = map[string]string{"study": pickOf(h, "label", []string{"A", "B c"})}
	}
	if h.chance(3) {
		j.ResultTTL = time.Duration(h.number(1, 50)) * time.Second
	}
	if h.chance(4) {
		j.NotBefore = h.now.Add(time.Duration(h.number(1, 60)) * time.Second)
	}
	if len(h.order) > 0 && h.chance(3) {
		parent := pickOf(h, "parent", h.order)
		if h.chance(2) {
			parent = tasks.TaskID(parent, 1)
		}
		j.DependsOn = []string{parent}
	}
	h.putJob(j)
	for n := 1; n <= j.N; n++ {
		if !h.chance(12) { // the submitter died, or it is still to come
			h.putTask(j.New(n))
		}
	}
}

// id is a new one, or that of a job of which nothing is left.
func (h *history) id() string {
	if h.made > 0 && h.chance(3) {
		if id := jobID(h.number(1, h.made)); h.named[id] == nil {
			delete(h.seen, id)
			delete(h.thin, id)
			return id
		}
	}
	h.made++
	return jobID(h.made)
}

// change moves a task on.
func (h *history) change() {
	all := h.all()
	if len(all) == 0 {
		return
	}
	was := all[h.number(0, len(all)-1)]
	t := *was
	t.Past = slices.Clone(was.Past)
	j := h.named[t.Job]
	now := h.tick()
	var err error
	switch t.State {
	case tasks.Pending:
		switch h.number(1, 6) {
		case 1:
			err = t.Cancel("anna", now)
		case 2:
			t.Held = !t.Held
		case 3:
			t.Queue, t.Lane = pickOf(h, "queue", queues), tasks.Lane(h.number(0, 3))
		default:
			w := pickOf(h, "worker", workers)
			err = t.Claim(tasks.Lease{Worker: w, Host: "host of " + w, Nonce: "n", Since: now})
		}
	case tasks.Running:
		o := tasks.Outcome{Cause: pickOf(h, "cause", []string{tasks.CauseDone, tasks.CauseDone, tasks.CauseError, tasks.CauseTimeout, tasks.CauseHost}),
			Usage: tasks.Usage{User: time.Millisecond * time.Duration(h.number(0, 9)), PeakRSS: 1 << 20}}
		if o.Cause == tasks.CauseDone {
			o.Result = tasks.Value{Data: []byte("x"), Size: int64(h.number(1, 100))}
			if h.chance(3) {
				o.Result = tasks.Value{Ref: ref(h.number(3, 6)), Size: 5000}
			}
		} else {
			o.Failure = &tasks.Failure{Cause: o.Cause, Message: pickOf(h, "message", messages)}
		}
		err = t.Finish(j, o, now)
	case tasks.Deferred:
		if h.chance(2) {
			err = t.Release()
		} else {
			err = t.Forbid([]string{"x"}, false, now)
		}
	case tasks.Impossible:
		err = t.Allow()
	case tasks.Moved:
		return
	default:
		err = t.Move(tasks.TaskID(jobID(99), 1), "ben")
	}
	if err != nil {
		h.t.Fatalf("the history is wrong: %v", err)
	}
	h.putTask(&t)
}

// rewrite changes what may change of a job.
func (h *history) rewrite() {
	j := h.jobs[pickOf(h, "job", h.order)]
	if j == nil || !h.seen[j.ID] {
		return
	}
	c := *j
	if h.chance(3) {
		c.Deleted = true
	} else if j.N > 0 {
		c.Dropped = c.Dropped.With(h.number(1, j.N))
	}
	h.putJob(&c)
}

// remove deletes a task, or a job with or without its tasks.
func (h *history) remove() {
	id := pickOf(h, "job", h.order)
	ts := h.tasksOf(id)
	if len(ts) > 0 && h.chance(2) {
		h.thin[id] = true
		h.dropTask(ts[h.number(0, len(ts)-1)])
		return
	}
	if h.chance(3) && h.jobs[id] != nil && h.seen[id] {
		h.dropJob(id) // first the job
		if h.chance(2) {
			return
		}
	}
	for _, t := range ts {
		h.dropTask(t)
	}
	if h.jobs[id] != nil {
		h.dropJob(id)
	}
}

// filters are filters of all sorts.
func (h *history) filter() Filter {
	var f Filter
	h.some(&f.Owner, append(owners, "nobody"))
	h.some(&f.Queue, append(queues, "none"))
	h.some(&f.Name, jobNames)
	h.some(&f.Worker, append(workers, "w9"))
	h.some(&f.Text, []string{"fit", "GRÖSSE", "größ", "not fou", "st", "study b", "7", "object x", "zzz", "--", "model fit"})
	if h.chance(6) {
		f.Job = jobID(h.number(1, h.made+1))
	}
	for len(f.States) < 4 && h.chance(3) {
		f.States = append(f.States, pickOf(h, "state", tasks.States))
	}
	if h.chance(4) {
		f.Labels = map[string]string{"study": pickOf(h, "label", []string{"A", "B c", "D"})}
	}
	if h.chance(5) {
		f.Since = h.between()
	}
	if h.chance(5) {
		f.Until = h.between()
	}
	f.Oldest = h.chance(2)
	f.Limit = h.number(1, 12)
	return f
}

func (h *history) between() time.Time {
	return began.Add(time.Duration(h.number(0, int(h.now.Sub(began)/time.Second)+1)) * time.Second)
}

func (h *history) some(s *string, from []string) {
	if h.chance(4) {
		*s = pickOf(h, "filter", from)
	}
}

func (f Filter) String() string {
	type plain Filter
	return fmt.Sprintf("%+v", plain(f))
}
