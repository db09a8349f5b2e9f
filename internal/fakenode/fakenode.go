// Package fakenode is a worker of the task queue that runs no R, for tests and
// benchmarks in which R is not the point: what a task comes to is a function's answer.
// It claims and finishes tasks by the same writes as package node does.
package fakenode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Worker is one. Its fields are set before Run.
type Worker struct {
	ID     string
	Broker *broker.Broker
	Most   int // tasks claimed at a time; 0 is 100
	// Runs is called for each task that was claimed. An outcome without cause leaves the
	// task as it is, as a worker does that has died.
	Runs func(*tasks.Task, *tasks.Job) tasks.Outcome

	Ran    atomic.Int64 // attempts
	Fenced atomic.Int64 // of those, whose outcome was refused since the record had moved on

	jobs map[string]*tasks.Job
}

// Done is the outcome of a task that has a value.
func Done(*tasks.Task, *tasks.Job) tasks.Outcome {
	return tasks.Outcome{Cause: tasks.CauseDone, Result: tasks.Value{Data: []byte("ok"), Size: 2}}
}

// Fails is the outcome of a task that signals an error.
func Fails(*tasks.Task, *tasks.Job) tasks.Outcome {
	return tasks.Outcome{Cause: tasks.CauseError, Failure: &tasks.Failure{Cause: tasks.CauseError, Message: "no"}}
}

// claim is a task that was claimed.
type claim struct {
	t *tasks.Task
	j *tasks.Job
	d *broker.Delivery
}

// Run takes from queues until ctx ends. What it has claimed by then it finishes.
func (w *Worker) Run(ctx context.Context, queues ...string) error {
	if err := w.run(ctx, queues); err != nil && ctx.Err() == nil {
		return fmt.Errorf("worker %s: %w", w.ID, err)
	}
	return nil
}

func (w *Worker) run(ctx context.Context, queues []string) error {
	if w.Most == 0 {
		w.Most = 100
	}
	w.jobs = map[string]*tasks.Job{}
	data, err := json.Marshal(tasks.Worker{ID: w.ID, Host: "here", State: "IDLE", Queues: queues})
	if err != nil {
		return err
	}
	if err := w.Broker.Announce(ctx, tasks.WorkerKey(w.ID), data, 10*time.Minute); err != nil {
		return err
	}
	lanes, err := w.Broker.Lanes(ctx, queues)
	if err != nil {
		return err
	}
	defer lanes.Close()
	for ctx.Err() == nil {
		ds, err := lanes.Next(ctx, w.Most)
		if err == nil {
			err = w.do(context.WithoutCancel(ctx), ds)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) do(ctx context.Context, ds []*broker.Delivery) error {
	subjects := make([]string, len(ds))
	for i, d := range ds {
		subjects[i] = tasks.TaskSubject(d.Job, d.N)
	}
	records, err := w.Broker.GetAll(ctx, subjects)
	if err != nil {
		return err
	}
	var taken []claim
	for i, r := range records {
		c, err := w.take(ctx, r)
		if err != nil {
			return err
		}
		if c.t == nil {
			if err := ds[i].Ack(); err != nil {
				return err
			}
			continue
		}
		c.d = ds[i]
		taken = append(taken, c)
	}
	taken, err = w.write(ctx, taken)
	if err != nil {
		return err
	}
	var ended []claim
	for _, c := range taken {
		if c.t.State != tasks.Running { // it has been lost too often
			if err := c.d.Ack(); err != nil {
				return err
			}
			continue
		}
		w.Ran.Add(1)
		out := w.Runs(c.t, c.j)
		if out.Cause == "" {
			continue
		}
		now := time.Now().UTC()
		if err := c.t.Finish(c.j, out, now); err != nil {
			return err
		}
		c.t.Held = c.t.State == tasks.Pending && c.t.NotBefore.After(now)
		ended = append(ended, c)
	}
	claimed := len(ended)
	ended, err = w.write(ctx, ended)
	w.Fenced.Add(int64(claimed - len(ended)))
	return errors.Join(err, w.settle(ended))
}

// settle gives back tasks that are to be run again, and acknowledges the others.
func (w *Worker) settle(ended []claim) error {
	for _, c := range ended {
		answer := c.d.Ack
		if c.t.State == tasks.Pending && !c.t.Held {
			answer = func() error { return c.d.Nak(0) }
		}
		if err := answer(); err != nil {
			return err
		}
	}
	return nil
}

// take reads a record and claims its task, if it may be.
func (w *Worker) take(ctx context.Context, r broker.Record) (claim, error) {
	if r.Data == nil {
		return claim{}, nil
	}
	t := new(tasks.Task)
	if err := json.Unmarshal(r.Data, t); err != nil {
		return claim{}, err
	}
	t.Rev = r.Seq
	if t.State != tasks.Pending && t.State != tasks.Running || t.Held {
		return claim{}, nil
	}
	j := w.jobs[t.Job]
	if j == nil {
		record, err := w.Broker.Get(ctx, tasks.JobSubject(t.Job))
		if errors.Is(err, broker.ErrNotFound) {
			return claim{}, nil
		}
		j = new(tasks.Job)
		if err == nil {
			err = json.Unmarshal(record.Data, j)
		}
		if err != nil {
			return claim{}, err
		}
		if len(w.jobs) > 1000 {
			clear(w.jobs)
		}
		w.jobs[t.Job] = j
	}
	now := time.Now().UTC()
	_, err := t.Take(j, tasks.Lease{Worker: w.ID, Host: "here", Nonce: fmt.Sprint(now.UnixNano()), Since: now}, now)
	return claim{t: t, j: j}, err
}

// write writes the records of claims, and returns those that were still as they were.
// The others are somebody else's: their messages are acknowledged.
func (w *Worker) write(ctx context.Context, cs []claim) (written []claim, err error) {
	ws := make([]broker.Write, len(cs))
	for i, c := range cs {
		data, err := json.Marshal(c.t)
		if err != nil {
			return nil, err
		}
		ws[i] = broker.Write{Subject: tasks.TaskSubject(c.t.Job, c.t.N), Data: data, Expect: c.t.Rev}
	}
	seqs, errs := w.Broker.WriteAll(ctx, ws)
	for i, c := range cs {
		switch {
		case errs[i] == nil:
			c.t.Rev = seqs[i]
			written = append(written, c)
		case errors.Is(errs[i], broker.ErrConflict):
			err = errors.Join(err, c.d.Ack())
		default:
			err = errors.Join(err, errs[i])
		}
	}
	return written, err
}
