// Package remote runs the requests of map stages on the workers of a task server, which
// may be on other machines. A Pool is for one queue, and does what an *rpool.Pool does
// here: a request in, a reply or one of rpool's errors out. So order, retries, dead
// letters and resuming are the business of those who ask, and are the same.
//
// Each request becomes a job of one task. What workers must have loaded becomes an
// environment of the server, named by its content. Jobs are deleted once their results
// have been fetched, and cancelled where nobody waits for them any more.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

// Options say where requests go and what they are called there.
type Options struct {
	Client *client.Client
	Queue  string
	Dir    string            // working directory on the workers' machines; "" is the workers' own
	Labels map[string]string // of the jobs
	Log    *slog.Logger      // nil discards
}

// Pool runs requests on a queue. Its methods may be called by several goroutines.
type Pool struct {
	o Options

	mu           sync.Mutex
	environments map[*rpool.Environment]string // names of those that the server has

	done    chan string // jobs to be deleted
	deleted sync.WaitGroup
}

// New makes sure that the server answers, and tells the log where a queue has no worker
// yet. Close ends it.
func New(ctx context.Context, o Options) (*Pool, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := tasks.CheckName("a queue", o.Queue); err != nil {
		return nil, err
	}
	queue, err := o.Client.Queue(ctx, o.Queue)
	switch {
	case isFault(err, "not_found"), err == nil && queue.Workers == 0:
		o.Log.Warn("no worker takes from the queue yet: the run waits for one", "queue", o.Queue, "server", o.Client.URL())
	case err != nil:
		return nil, fmt.Errorf("queue %s: %w", o.Queue, err)
	}
	p := &Pool{o: o, environments: map[*rpool.Environment]string{}, done: make(chan string, 64)}
	p.deleted.Go(p.deleteDone)
	return p, nil
}

// Close deletes what is left of jobs whose results were fetched. No Do may run.
func (p *Pool) Close() error {
	close(p.done)
	p.deleted.Wait()
	return nil
}

// Do runs a request of kind Map on a worker of the queue, at low priority where it is
// bulk, and waits. The error is one of the code's (*rpool.ConditionError,
// *rpool.TimeoutError), of its process or machine (*rpool.DiedError), of what a worker
// cannot load (*rpool.StartError), or any other, with which the queue cannot be used.
// The end of ctx cancels the task.
func (p *Pool) Do(ctx context.Context, env *rpool.Environment, priority rpool.Priority, req *rpool.Request) (*rpool.Reply, error) {
	name, err := p.Ready(ctx, env)
	if err != nil {
		return nil, err
	}
	s, err := submission(req)
	if err != nil {
		return nil, err
	}
	s.ID, s.Queue, s.Environment, s.Labels = client.NewID(), p.o.Queue, name, p.o.Labels
	if priority == rpool.Bulk {
		s.Priority = "low"
	}
	began := time.Now()
	reply, err := p.run(ctx, s, req)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if t := req.Trace; t != nil {
		t.Run += time.Since(began)
		if reply != nil {
			t.Pid = reply.Pid
		}
	}
	return reply, err
}

// run submits a job, waits for its task, and fetches what it came to.
func (p *Pool) run(ctx context.Context, s *api.Submission, req *rpool.Request) (*rpool.Reply, error) {
	if err := p.submit(ctx, s); err != nil {
		p.giveUp(ctx, s.ID) // it may be there all the same
		return nil, err
	}
	id := tasks.TaskID(s.ID, 1)
	if _, err := p.o.Client.Wait(ctx, api.WaitRequest{IDs: []string{id}}); err != nil {
		p.giveUp(ctx, s.ID)
		return nil, fmt.Errorf("wait for task %s on queue %s: %w", id, p.o.Queue, err)
	}
	task, err := p.o.Client.Task(ctx, id)
	if err != nil {
		p.giveUp(ctx, s.ID)
		return nil, fmt.Errorf("task %s on queue %s: %w", id, p.o.Queue, err)
	}
	printed := p.printed(ctx, id)
	if task.State != string(tasks.Complete) {
		err = p.failure(task, req, printed)
		p.forget(s.ID)
		return nil, err
	}
	data, err := p.value(ctx, id)
	if err != nil {
		p.giveUp(ctx, s.ID)
		return nil, fmt.Errorf("result of task %s on queue %s: %w", id, p.o.Queue, err)
	}
	p.forget(s.ID)
	reply := &rpool.Reply{Data: data, Size: int64(len(data)), Warnings: task.Warnings, Output: printed}
	if u := task.Usage; u != nil {
		reply.User, reply.System, reply.PeakRSS = time.Duration(u.User), time.Duration(u.System), int64(u.PeakRSS)
	}
	if n := len(task.Past); n > 0 {
		reply.Pid = task.Past[n-1].Pid
	}
	return reply, nil
}

// fullPause is how long a submission stays away from a queue that is full, where the
// server does not say.
const fullPause = time.Second

// submit waits while the queue is full.
func (p *Pool) submit(ctx context.Context, s *api.Submission) error {
	for told := false; ; told = true {
		_, err := p.o.Client.Submit(ctx, s)
		if !isFault(err, "queue_full") {
			if err != nil {
				return fmt.Errorf("submit to queue %s: %w", p.o.Queue, err)
			}
			return nil
		}
		if !told {
			p.o.Log.Info("the queue is full: the run waits", "queue", p.o.Queue, "error", err)
		}
		pause := fullPause
		var fault *api.Fault
		if errors.As(err, &fault) && fault.RetryAfter > 0 {
			pause = time.Duration(fault.RetryAfter)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// maxPrinted is how much of what a task printed is kept, as of a request here.
const maxPrinted = 64 << 10

// printed is what the code printed, less its warnings, which come with the reply. That
// it cannot be had is no reason to fail.
func (p *Pool) printed(ctx context.Context, id string) string {
	var b []byte
	err := p.o.Client.Log(ctx, id, 0, false, func(l *api.LogLine) error {
		if l.Stream != "warning" && len(b)+len(l.Line) < maxPrinted {
			b = append(append(b, l.Line...), '\n')
		}
		return nil
	})
	if err != nil {
		p.o.Log.Debug("what a task printed is not known", "task", id, "error", err)
	}
	return string(b)
}

// value fetches a result, as an item.
func (p *Pool) value(ctx context.Context, id string) ([]byte, error) {
	r, err := p.o.Client.Result(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	stream, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return item(stream)
}

// forget has a job deleted soon.
func (p *Pool) forget(job string) { p.done <- job }

// atOnce is how many jobs are deleted by one request.
const atOnce = 100

// deleteDone deletes jobs until Close. What it cannot delete expires (resultTTL).
func (p *Pool) deleteDone() {
	for job := range p.done {
		jobs := []string{job}
		for len(jobs) < atOnce {
			select {
			case job, ok := <-p.done:
				if ok {
					jobs = append(jobs, job)
					continue
				}
			default:
			}
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if _, err := p.o.Client.Delete(ctx, jobs...); err != nil {
			p.o.Log.Warn("jobs that are done stay on the task server until they expire", "jobs", len(jobs), "error", err)
		}
		cancel()
	}
}

// patience is how long it may take to tell the server that something is not wanted.
const patience = 20 * time.Second

// arriving is how long a submission that was broken off may still arrive at the server.
const arriving = time.Second

// giveUp cancels a job that nobody waits for any more. It may be about to be there, where
// its submission was broken off.
func (p *Pool) giveUp(ctx context.Context, job string) {
	broken := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	began := time.Now()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		out, err := p.o.Client.Cancel(ctx, job)
		absent := err == nil && len(out.Outcomes) == 1 && out.Outcomes[0].Error == "not_found"
		if err == nil && !absent {
			p.forget(job)
			return
		}
		if !broken || time.Since(began) > arriving || ctx.Err() != nil {
			if err != nil {
				p.o.Log.Warn("a task was not cancelled, and may run for nothing", "job", job, "queue", p.o.Queue, "error", err)
			}
			return
		}
		time.Sleep(pause) // nobody tells of a submission that was broken off
	}
}

// Sweep cancels and deletes the jobs that have these labels: those of an earlier process
// of the same run, which was killed.
func Sweep(ctx context.Context, c *client.Client, labels map[string]string) error {
	for {
		jobs, err := c.Jobs(ctx, client.Filter{Labels: labels, Limit: atOnce})
		if err != nil || len(jobs.Jobs) == 0 {
			return err
		}
		ids := make([]string, len(jobs.Jobs))
		for i, j := range jobs.Jobs {
			ids[i] = j.ID
		}
		if _, err := c.Cancel(ctx, ids...); err != nil {
			return err
		}
		out, err := c.Delete(ctx, ids...)
		if err != nil {
			return err
		}
		gone := 0
		for _, o := range out.Outcomes {
			switch {
			case !o.OK && o.Error == "not_found": // somebody was faster, such as its time
				gone++
			case !o.OK:
				return fmt.Errorf("job %s of an earlier process of this run: %s", o.ID, o.Message)
			}
		}
		if gone == len(out.Outcomes) {
			return nil
		}
	}
}

func isFault(err error, code string) bool {
	var fault *api.Fault
	return errors.As(err, &fault) && fault.Code == code
}
