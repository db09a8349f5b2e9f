package server

import (
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// when is a time for a document; nil where there is none.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

var laneNames = map[tasks.Lane]string{tasks.Front: "front", tasks.High: "high", tasks.Normal: "normal", tasks.Low: "low"}

func statesOf(counts map[tasks.State]int64) map[string]int64 {
	out := make(map[string]int64, len(counts))
	for s, n := range counts {
		if n != 0 {
			out[string(s)] = n
		}
	}
	return out
}

// jobOf is a job as it is shown.
func jobOf(j *index.JobRow) *api.Job {
	out := &api.Job{
		ID: j.ID, Name: j.Name, Owner: j.Owner, Labels: j.Labels, Queue: j.Queue, Created: j.Created.UTC(),
		Started: when(j.Started), Ended: when(j.Ended), N: j.N, Array: j.Array,
		States: statesOf(j.Counts), RetriedFrom: j.RetriedFrom, DependsOn: j.DependsOn,
	}
	out.State, out.Done = summary(j)
	return out
}

// submitted is a job that has just been kept, by its record alone: the index is a moment
// behind.
func submitted(j *tasks.Job) *api.Job {
	counts := map[tasks.State]int64{j.New(1).State: int64(j.N)}
	return jobOf(&index.JobRow{
		ID: j.ID, Name: j.Name, Owner: j.Owner, Labels: j.Labels, Queue: j.Queue, Created: j.Created, N: j.N,
		Array: j.Array, Counts: counts, DependsOn: j.DependsOn,
	})
}

// summary is a job in a word.
func summary(j *index.JobRow) (state string, done bool) {
	var open, begun, failed, cancelled int64
	for s, n := range j.Counts {
		switch {
		case !s.Final():
			open += n
			if s == tasks.Running {
				begun += n
			}
		default:
			begun += n
			if s == tasks.Cancelled {
				cancelled += n
			} else if s.Failed() {
				failed += n
			}
		}
	}
	// Tasks whose records are on their way, or are still to be read where the index is made
	// anew, have not ended.
	open += max(int64(j.N-j.Dropped)-open-begun, 0)
	switch {
	case open > 0 && begun == 0:
		return "init", false
	case open > 0:
		return "running", false
	case failed > 0:
		return "failed", true
	case cancelled > 0:
		return "canceled", true
	}
	return "finish", true
}

// taskOf is a task by its record.
func taskOf(t *tasks.Task, j *tasks.Job) *api.Task {
	out := &api.Task{
		ID: t.ID(), Job: t.Job, N: t.N, State: string(t.State), Owner: t.Owner, Queue: t.Queue, Priority: laneNames[t.Lane],
		Submitted: when(t.Submitted), NotBefore: when(t.NotBefore), Started: when(t.Started), Ended: when(t.Ended),
		Held: t.Held, Attempt: t.Attempt, ResultSize: t.Result.Size, Failure: failureOf(t.Failure), Warnings: t.Warnings,
		MovedTo: t.MovedTo, MovedFrom: t.MovedFrom, By: t.By, Usage: usageOf(t.Usage),
	}
	if j != nil {
		out.Name = j.Name
	}
	if l := t.Lease; l != nil {
		out.Worker, out.Host, out.Pid = l.Worker, l.Host, l.Pid
	}
	for _, p := range t.Past {
		out.Past = append(out.Past, api.Attempt{
			Worker: p.Worker, Host: p.Host, Pid: p.Pid, Started: p.Started.UTC(), Ended: p.Ended.UTC(), Cause: p.Cause, Message: p.Message,
		})
	}
	return out
}

// rowOf is a task as lists show it.
func rowOf(t *index.TaskRow) api.Task {
	out := api.Task{
		ID: t.ID(), Job: t.Job, N: t.N, Name: t.Name, State: string(t.State), Owner: t.Owner, Queue: t.Queue, Priority: laneNames[t.Lane],
		Submitted: when(t.Submitted), NotBefore: when(t.NotBefore), Started: when(t.Started), Ended: when(t.Ended),
		Held: t.Held, Attempt: t.Attempt, Worker: t.Worker, Host: t.Host, ResultSize: t.Size,
		MovedTo: t.MovedTo, MovedFrom: t.MovedFrom, Usage: usageOf(t.Usage),
	}
	if t.Cause != "" || t.Message != "" {
		out.Failure = &api.Failure{Cause: t.Cause, Message: t.Message}
	}
	return out
}

func failureOf(f *tasks.Failure) *api.Failure {
	if f == nil {
		return nil
	}
	return &api.Failure{Cause: f.Cause, Message: f.Message, Classes: f.Classes, Call: f.Call, Traceback: f.Traceback, Tasks: f.Tasks}
}

func usageOf(u tasks.Usage) *api.Usage {
	if u == (tasks.Usage{}) {
		return nil
	}
	return &api.Usage{User: api.Duration(u.User), System: api.Duration(u.System), PeakRSS: api.Size(u.PeakRSS)}
}

func workerOf(w *tasks.Worker) api.Worker {
	running := w.Tasks
	if running == nil {
		running = []string{}
	}
	return api.Worker{
		ID: w.ID, Host: w.Host, Pid: w.Pid, User: w.User, State: w.State, Queues: w.Queues,
		Started: when(w.Started), Seen: when(w.Seen), Version: w.Version, R: w.R, Platform: w.Platform,
		Max: w.Max, Up: w.Up, Busy: w.Busy, RSS: w.RSS, Tasks: running, Done: w.Done,
		Load:   api.Load{S1: w.Load.S1, S5: w.Load.S5, S15: w.Load.S15, All: w.Load.All},
		Config: w.Config, Job: w.Job,
	}
}

// eventOf is a change of a task as it is told.
func eventOf(t *tasks.Task) *api.Event {
	e := &api.Event{Type: "task", Time: changed(t), Task: t.ID(), Job: t.Job, State: string(t.State), Queue: t.Queue, Attempt: t.Attempt}
	if t.Failure != nil {
		e.Message = t.Failure.Message
	}
	return e
}

// changed is when a task became what it is, as far as its record says so.
func changed(t *tasks.Task) time.Time {
	switch {
	case !t.Ended.IsZero():
		return t.Ended.UTC()
	case !t.Started.IsZero():
		return t.Started.UTC()
	}
	return t.Submitted.UTC()
}
