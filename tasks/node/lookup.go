package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// lookUp reads the records of what was delivered, with the settings of its queues and
// the versions of its environments, and settles what is not to be run: what has ended,
// waits for something, or is of a queue that is paused.
func (n *Node) lookUp(ctx context.Context, ds []*broker.Delivery) ([]*found, error) {
	q := &question{n: n, place: make(map[string]int)}
	jobs := make([]*job, len(ds))
	for i, d := range ds {
		if !fresh(d) {
			q.ask(tasks.TaskSubject(d.Job, d.N))
		}
		q.ask(tasks.QueueSubject(d.Queue))
		env := tasks.EnvSubject(tasks.DefaultEnv, 0) // which a job that is not known has, mostly
		if jobs[i] = n.jobs.hold(d.Job); jobs[i] == nil {
			q.ask(tasks.JobSubject(d.Job))
		} else {
			env = jobs[i].envSubject()
		}
		q.ask(env)
	}
	err := q.answer(ctx)
	unread := make([]error, len(ds))
	for i, d := range ds {
		if err == nil && jobs[i] == nil {
			if jobs[i], unread[i] = n.jobs.learn(q.at(tasks.JobSubject(d.Job))); jobs[i] != nil {
				q.ask(jobs[i].envSubject())
			}
		}
	}
	if err == nil {
		err = q.answer(ctx)
	}
	if err != nil {
		for _, j := range jobs {
			n.jobs.release(j)
		}
		return nil, fmt.Errorf("read the records of tasks: %w", err)
	}
	var all []*found
	for i, d := range ds {
		if unread[i] != nil { // others can be run
			n.log.Error("a task cannot be claimed", "task", tasks.TaskID(d.Job, d.N), "error", unread[i])
			n.nak(d, n.o.AckWait)
			continue
		}
		f := &found{d: d, job: jobs[i]}
		if fresh(d) {
			f.rec = broker.Record{Subject: tasks.TaskSubject(d.Job, d.N), Data: d.Told.Data, Seq: d.Told.Rev}
		} else {
			f.rec = q.at(tasks.TaskSubject(d.Job, d.N))
		}
		ok := n.readable(f)
		if ok && pausedBy(q.at(tasks.QueueSubject(d.Queue))) {
			n.nak(d, pausedFor)
			ok = false
		}
		if ok && !f.task.Submitted.Equal(f.job.Created) {
			ok = n.relearn(ctx, q, f)
		}
		if !ok {
			n.jobs.release(f.job)
			continue
		}
		version := f.job.envVersion
		if f.doc = n.envs.learn(q.at(f.job.envSubject())); f.doc != nil {
			version = f.doc.Version
		}
		f.env = envKey(f.job.envName, version)
		all = append(all, f)
	}
	return all, nil
}

// relearn reads the job of a task that is not of the one that is remembered by this id.
func (n *Node) relearn(ctx context.Context, q *question, f *found) (ok bool) {
	var err error
	if f.job, err = n.jobs.again(ctx, f.job); err == nil && f.job != nil {
		q.ask(f.job.envSubject())
		err = q.answer(ctx)
	}
	switch {
	case err != nil:
		n.log.Warn("a task cannot be claimed for now", "task", f.task.ID(), "error", err)
		n.nak(f.d, n.o.AckWait)
	case f.job == nil: // deleted
		n.ack(f.d)
	default:
		return true
	}
	return false
}

// fresh reports whether the record that came with the work is to be believed: a claim of
// another one fails, and the work is delivered again.
func fresh(d *broker.Delivery) bool { return d.Told.Rev > 0 && d.Redelivered == 0 }

// question is what is to be read, each once.
type question struct {
	n        *Node
	place    map[string]int // of a subject among the records
	subjects []string
	records  []broker.Record
}

func (q *question) ask(subject string) {
	if _, asked := q.place[subject]; !asked {
		q.place[subject] = len(q.subjects)
		q.subjects = append(q.subjects, subject)
	}
}

// answer reads what has been asked since the last time.
func (q *question) answer(ctx context.Context) error {
	open := q.subjects[len(q.records):]
	if len(open) == 0 {
		return nil
	}
	records, err := q.n.b.GetAll(ctx, open)
	q.records = append(q.records, records...)
	return err
}

func (q *question) at(subject string) broker.Record { return q.records[q.place[subject]] }

// readable reads a task's record, and settles the message of one that is not to be run.
func (n *Node) readable(f *found) bool {
	if f.rec.Seq == 0 || f.rec.Data == nil || f.job == nil { // deleted, or expired
		n.ack(f.d)
		return false
	}
	if err := json.Unmarshal(f.rec.Data, &f.task); err != nil {
		n.log.Error("the record of a task cannot be read", "task", tasks.TaskID(f.d.Job, f.d.N), "error", err)
		n.nak(f.d, n.o.AckWait)
		return false
	}
	t := &f.task
	t.Rev = f.rec.Seq
	if t.State == tasks.Running || t.State == tasks.Pending && !t.Held && t.Queue == f.d.Queue {
		return true
	}
	// A message of another queue is left from before the task was moved.
	n.ack(f.d)
	return false
}

func pausedBy(r broker.Record) bool {
	var c tasks.QueueConfig
	return len(r.Data) > 0 && json.Unmarshal(r.Data, &c) == nil && c.Paused
}

// settleLost asks the workers that have tasks RUNNING, by their records, whether they
// still do: a message that is delivered again is no proof of the contrary.
func (n *Node) settleLost(ctx context.Context, all []*found) {
	by := map[string][]*found{}
	for _, f := range all {
		if t := &f.task; t.State == tasks.Running {
			if t.Lease == nil {
				f.lost = true
			} else {
				by[t.Lease.Worker] = append(by[t.Lease.Worker], f)
			}
		}
	}
	for worker, fs := range by {
		claims := make([]string, len(fs))
		for i, f := range fs {
			claims[i] = f.task.ID() + " " + f.task.Lease.Nonce
		}
		has := map[string]bool{}
		for _, claim := range n.askHolds(ctx, worker, claims) {
			has[claim] = true
		}
		for i, f := range fs {
			f.lost = !has[claims[i]]
		}
	}
}

// askHolds is which of claims a worker has.
func (n *Node) askHolds(ctx context.Context, worker string, claims []string) []string {
	if worker == n.o.ID {
		return n.holds(claims)
	}
	ctx, cancel := context.WithTimeout(ctx, min(askFor, n.o.AckWait/2))
	defer cancel()
	question, err := json.Marshal(tasks.Message{Type: "holds", Tasks: claims})
	if err != nil {
		return nil
	}
	data, err := n.b.Request(ctx, tasks.MessageSubject(worker), question)
	if err != nil { // it is gone, or cut off, and has not renewed its lease either
		if !errors.Is(err, broker.ErrNoResponder) {
			n.log.Info("a worker does not answer: its tasks are taken over", "worker", worker, "tasks", len(claims), "error", err)
		}
		return nil
	}
	var answer struct{ Value []string }
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil
	}
	return answer.Value
}

// holds is which of claims, an id and a nonce each, this worker has.
func (n *Node) holds(claims []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	has := []string{}
	for _, claim := range claims {
		id, nonce, _ := strings.Cut(claim, " ")
		if h := n.held[id]; h != nil && h.cause == nil && h.nonce == nonce {
			has = append(has, claim)
		}
	}
	return has
}

// giveBack undoes the claims of tasks that have not begun and are not to be run here.
func (n *Node) giveBack() {
	n.mu.Lock()
	back := n.takeBack(n.unwanted)
	n.mu.Unlock()
	n.undo(back)
}

// unwanted reports whether a task is not to begin here, by what the worker has been told
// since it was claimed. n.mu is held.
func (n *Node) unwanted(h *held) bool {
	q := h.task.Queue
	return n.draining || n.pausing || n.paused[q] || !slices.Contains(n.queues, q)
}

// takeBack takes those that which chooses from what has not begun. n.mu is held.
func (n *Node) takeBack(which func(*held) bool) (back []*held) {
	keep := n.ready[:0:0]
	for _, h := range n.ready {
		if which(h) {
			back = append(back, h)
		} else {
			keep = append(keep, h)
		}
	}
	n.ready = keep
	return back
}

// undo gives back what takeBack has taken: the records are what they were before the claim.
func (n *Node) undo(back []*held) {
	if len(back) == 0 {
		return
	}
	var writes []broker.Write
	var undone []*held
	for _, h := range back {
		if h.before == nil {
			n.finish(h, &tasks.Outcome{Cause: tasks.CauseWorker, Failure: stopFailure})
			continue
		}
		undone = append(undone, h)
		writes = append(writes, broker.Write{Subject: tasks.TaskSubject(h.task.Job, h.task.N), Data: h.before, Expect: h.task.Rev})
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeFor)
	defer cancel()
	_, errs := n.b.WriteAll(ctx, writes)
	for i, h := range undone {
		if errs[i] != nil && !errors.Is(errs[i], broker.ErrConflict) {
			n.log.Warn("a claim was not undone: the task runs when its lease has ended", "task", h.id, "error", errs[i])
		} else {
			n.nak(h.d, 0)
		}
		n.forget(h)
	}
}

// forget lets go of a task, whose message has been dealt with.
func (n *Node) forget(h *held) {
	h.endSpan()
	n.mu.Lock()
	if n.held[h.id] == h {
		delete(n.held, h.id)
	}
	n.last = time.Now()
	n.changed.Broadcast()
	n.mu.Unlock()
	n.jobs.release(h.job)
}

var stopFailure = &tasks.Failure{Cause: tasks.CauseWorker, Message: "the worker was told to stop before it was done"}
