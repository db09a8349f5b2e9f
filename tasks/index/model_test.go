package index

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// model is the index as one would write it without caring for time: it looks at all
// records for each question.
type model struct {
	s *stream
	// order are jobs as they were first seen.
	order []string
	jobs  map[string]*tasks.Job // those whose record is there
	named map[string]*tasks.Job // also those whose record has gone while they have tasks
	tasks map[string]*tasks.Task
	times map[string]time.Time // of records
	now   time.Time
}

func newModel(s *stream) *model {
	return &model{s: s, jobs: map[string]*tasks.Job{}, named: map[string]*tasks.Job{}, tasks: map[string]*tasks.Task{}, times: map[string]time.Time{}, now: began}
}

func (m *model) putJob(j *tasks.Job) {
	m.s.job(j)
	if m.named[j.ID] == nil {
		m.order = append(m.order, j.ID)
	}
	m.jobs[j.ID], m.named[j.ID] = j, j
}

func (m *model) putTask(t *tasks.Task) {
	seq := m.s.task(t)
	c := *t
	c.Past = slices.Clone(t.Past)
	c.Rev = seq
	m.tasks[t.ID()] = &c
	m.times[t.ID()] = began.Add(time.Duration(seq) * time.Millisecond)
}

func (m *model) dropTask(t *tasks.Task) {
	m.s.drop(t)
	delete(m.tasks, t.ID())
	m.forget(t.Job)
}

func (m *model) dropJob(id string) {
	m.s.put(tasks.JobSubject(id), nil)
	delete(m.jobs, id)
	m.forget(id)
}

// forget drops a job of which nothing is left.
func (m *model) forget(id string) {
	if m.jobs[id] == nil && len(m.tasksOf(id)) == 0 {
		delete(m.named, id)
		m.order = slices.DeleteFunc(m.order, func(o string) bool { return o == id })
	}
}

// tasksOf are the tasks of a job, by number.
func (m *model) tasksOf(job string) (ts []*tasks.Task) {
	for n := 1; n <= 40; n++ {
		if t := m.tasks[tasks.TaskID(job, n)]; t != nil {
			ts = append(ts, t)
		}
	}
	return ts
}

// all are all tasks, by submission.
func (m *model) all() (ts []*tasks.Task) {
	for _, id := range m.order {
		ts = append(ts, m.tasksOf(id)...)
	}
	return ts
}

func hasWords(text, query string) bool {
	cut := func(s string) []string {
		return strings.Fields(strings.Map(func(r rune) rune {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789äé", r) {
				return r
			}
			return ' '
		}, strings.ToLower(s)))
	}
	for _, q := range cut(query) {
		if !slices.ContainsFunc(cut(text), func(w string) bool { return strings.HasPrefix(w, q) }) {
			return false
		}
	}
	return true
}

func (m *model) jobMatches(j *tasks.Job, f Filter) bool {
	if f.Owner != "" && j.Owner != f.Owner || f.Job != "" && j.ID != f.Job || f.Name != "" && j.Name != f.Name {
		return false
	}
	for k, v := range f.Labels {
		if had, ok := j.Labels[k]; !ok || had != v {
			return false
		}
	}
	return (f.Since.IsZero() || !j.Created.Before(f.Since)) && (f.Until.IsZero() || j.Created.Before(f.Until))
}

func jobText(j *tasks.Job) string {
	s := j.Name
	for k, v := range j.Labels {
		s += " " + k + " " + v
	}
	return s
}

func worker(t *tasks.Task) string {
	switch {
	case t.Lease != nil:
		return t.Lease.Worker
	case len(t.Past) > 0:
		return t.Past[len(t.Past)-1].Worker
	}
	return ""
}

func message(t *tasks.Task) string {
	if t.Failure == nil {
		return ""
	}
	return t.Failure.Message
}

func (m *model) taskMatches(t *tasks.Task, f Filter) bool {
	j := m.named[t.Job]
	return m.jobMatches(j, f) && (f.Queue == "" || t.Queue == f.Queue) && (f.Worker == "" || worker(t) == f.Worker) &&
		(len(f.States) == 0 || slices.Contains(f.States, t.State)) &&
		(hasWords(jobText(j), f.Text) || hasWords(message(t), f.Text))
}

// list are the ids of the tasks of a filter.
func (m *model) list(f Filter) (ids []string) {
	for _, t := range m.all() {
		if m.taskMatches(t, f) {
			ids = append(ids, t.ID())
		}
	}
	if !f.Oldest {
		slices.Reverse(ids)
	}
	return ids
}

// listJobs are the ids of the jobs of a filter.
func (m *model) listJobs(f Filter) (ids []string) {
	text := f.Text
	f.Text = ""
	for _, id := range m.order {
		j := m.jobs[id]
		if j == nil || !hasWords(jobText(j), text) {
			continue
		}
		if len(f.States) > 0 || f.Worker != "" {
			if slices.ContainsFunc(m.tasksOf(id), func(t *tasks.Task) bool { return m.taskMatches(t, f) }) {
				ids = append(ids, id)
			}
		} else if m.jobMatches(j, f) && (f.Queue == "" || j.Queue == f.Queue) {
			ids = append(ids, id)
		}
	}
	if !f.Oldest {
		slices.Reverse(ids)
	}
	return ids
}

func (m *model) counts(f Filter) map[tasks.State]int64 {
	counts := map[tasks.State]int64{}
	for _, t := range m.all() {
		if m.taskMatches(t, f) {
			counts[t.State]++
		}
	}
	return counts
}

func (m *model) cells(job string, from, to, size int) (cells []map[tasks.State]int64) {
	for n := from; n <= to; n++ {
		if (n-from)%size == 0 {
			cells = append(cells, map[tasks.State]int64{})
		}
		if t := m.tasks[tasks.TaskID(job, n)]; t != nil {
			cells[len(cells)-1][t.State]++
		}
	}
	return cells
}

func (m *model) taskRow(id string) TaskRow {
	t, j := m.tasks[id], m.named[m.tasks[id].Job]
	r := TaskRow{Job: t.Job, N: t.N, Name: j.Name, Labels: j.Labels, State: t.State, Rev: t.Rev, Owner: t.Owner, Queue: t.Queue, Lane: t.Lane,
		Held: t.Held, Submitted: t.Submitted, NotBefore: t.NotBefore, Started: t.Started, Ended: t.Ended, Changed: m.times[id],
		Attempt: t.Attempt, Worker: worker(t), Message: message(t), Size: t.Result.Size, Usage: t.Usage, MovedTo: t.MovedTo, MovedFrom: t.MovedFrom}
	if r.Worker != "" {
		r.Host = "host of " + r.Worker
	}
	if t.Failure != nil {
		r.Cause = t.Failure.Cause
	}
	return r
}

func (m *model) jobRow(id string) JobRow {
	j := m.jobs[id]
	r := JobRow{ID: id, Name: j.Name, Owner: j.Owner, Labels: j.Labels, Created: j.Created, N: j.N, Array: j.Array, Queue: j.Queue, Lane: j.Lane,
		DependsOn: slices.Sorted(slices.Values(j.DependsOn)), NotBefore: j.NotBefore, Counts: map[tasks.State]int64{}, MaxRunning: j.MaxRunning,
		RetriedFrom: j.RetriedFrom, Dropped: j.Dropped.Len(), Deleted: j.Deleted}
	for _, t := range m.tasksOf(id) {
		r.Counts[t.State]++
	}
	return r
}

// position is how many tasks of the queue come before this one.
func (m *model) position(id string) (ahead int64) {
	t := m.tasks[id]
	if t.State != tasks.Pending || t.Held {
		return -1
	}
	passed := false
	for _, o := range m.all() {
		passed = passed || o == t
		if o.State == tasks.Pending && !o.Held && o.Queue == t.Queue && (o.Lane < t.Lane || o.Lane == t.Lane && !passed) {
			ahead++
		}
	}
	return ahead
}

func (m *model) queueStats() map[string]QueueStat {
	stats := map[string]QueueStat{}
	for _, t := range m.all() {
		s := stats[t.Queue]
		share := int64(0)
		if j := m.named[t.Job]; j != nil {
			share = j.Call.Code.Size / int64(max(j.N, 1))
		}
		switch t.State {
		case tasks.Pending:
			s.Pending++
			s.Bytes += share
			if t.Held {
				s.Held++
			}
		case tasks.Deferred:
			s.Deferred++
			s.Bytes += share
		case tasks.Running:
			s.Running++
		default:
			s.Ended++
		}
		stats[t.Queue] = s
	}
	return stats
}

func (m *model) ownerStats(owner string) OwnerStat {
	s := OwnerStat{Counts: m.counts(Filter{Owner: owner})}
	for _, j := range m.jobs {
		if j.Owner == owner {
			s.Jobs++
			s.Bytes += j.Call.Code.Size
		}
	}
	for id, j := range m.named {
		ran := false
		for _, t := range m.tasksOf(id) {
			if j.Owner != owner {
				continue
			}
			ran = ran || t.State == tasks.Running
			s.Bytes += t.Result.Size
			if t.Held {
				s.Held++
			}
		}
		if ran {
			s.Running++
		}
	}
	return s
}

func (m *model) blobs() map[string]int64 {
	used := map[string]int64{}
	for _, j := range m.jobs {
		used[j.Call.Code.Ref]++
	}
	for _, t := range m.tasks {
		used[t.Result.Ref]++
	}
	delete(used, "")
	return used
}

// pick are the ids of tasks for which f is true, sorted by what key says and then by submission.
func (m *model) pick(f func(*tasks.Task) bool, key func(*tasks.Task) int64) (ids []string) {
	var found []*tasks.Task
	for _, t := range m.all() {
		if f(t) {
			found = append(found, t)
		}
	}
	slices.SortStableFunc(found, func(a, b *tasks.Task) int {
		switch ka, kb := key(a), key(b); {
		case ka < kb:
			return -1
		case ka > kb:
			return 1
		}
		return 0
	})
	for _, t := range found {
		ids = append(ids, t.ID())
	}
	return ids
}

func (m *model) incomplete() (ids []string) {
	for _, id := range m.order {
		j := m.jobs[id]
		if j == nil && len(m.tasksOf(id)) > 0 || j != nil && (j.Deleted || len(m.tasksOf(id)) < j.N-j.Dropped.Len()) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *model) String() string {
	return fmt.Sprint(slices.Sorted(maps.Keys(m.tasks)))
}
