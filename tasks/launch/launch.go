// Package launch submits workers to a cluster's scheduler (Slurm, SGE, PBS, or any with
// commands like theirs) as a queue grows. Workers connect out to the task server, take
// tasks, and end by themselves when they have been idle: the scheduler needs to know
// nothing of tasks.
package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Demand is what there is to do, and who does it already.
type Demand struct {
	Tasks   int64               // that wait or run
	Workers map[string]struct{} // scheduler's ids of the jobs whose workers are connected, or were since the last look
}

// Options say how many workers may be wanted, and how they are submitted.
type Options struct {
	Scheduler *Scheduler
	Template  string            // text of the job script, see Fill
	Values    map[string]string // what it refers to, besides what each job adds: job_name, log
	Min, Max  int               // jobs at a time; Max must be 1 or more
	Slots     int               // R processes of each worker; 0 is 1
	Dir       string            // of scripts and logs: one that the nodes see too
	Every     time.Duration     // how often it is looked; 0 is 5s
	// StartTimeout is how long a job may run before its worker has connected; 0 is 2m.
	StartTimeout time.Duration
	Demand       func(context.Context) (Demand, error)
	Log          *slog.Logger // nil discards
}

// maxFailures is how many jobs in a row may come to nothing: then no more are
// submitted, since somebody pays for each.
const maxFailures = 3

// maxPause is the longest time between two tries to submit: a scheduler that is restarted
// takes nothing for a while, and costs nothing.
const maxPause = 5 * time.Minute

// Launcher keeps as many jobs submitted as there is work for.
type Launcher struct {
	o        Options
	jobs     map[string]*job
	failures int
	last     error         // of the last failure
	again    time.Time     // nothing is submitted before: the scheduler takes nothing, for now
	pause    time.Duration // between then and the last try
	n        int           // jobs submitted so far
	now      func() time.Time
}

// job is one that was submitted and has not ended.
type job struct {
	id        string
	log       string
	running   time.Time // seen to run; zero while it waits
	connected bool      // its worker was seen
}

// New makes a launcher. The error says which option cannot work.
func New(o Options) (*Launcher, error) {
	switch {
	case o.Scheduler == nil:
		return nil, errors.New("launch: no scheduler")
	case o.Max < 1:
		return nil, fmt.Errorf("launch: at most %d jobs: that would be none; say how many workers there may be", o.Max)
	case o.Min < 0 || o.Min > o.Max:
		return nil, fmt.Errorf("launch: at least %d jobs and at most %d", o.Min, o.Max)
	}
	if _, err := Fill(o.Template, o.scriptValues("job", "log")); err != nil {
		return nil, err
	}
	if o.Slots == 0 {
		o.Slots = 1
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 2 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Launcher{o: o, jobs: make(map[string]*job), now: time.Now}, nil
}

func (o *Options) scriptValues(name, log string) map[string]string {
	values := maps.Clone(o.Values)
	if values == nil {
		values = make(map[string]string)
	}
	values["job_name"], values["log"] = name, log
	return values
}

// Run submits jobs until ctx ends, and then removes those that are left: the
// scheduler tells their workers to end, which give back what they had not finished.
// It ends with an error where jobs come to nothing again and again.
func (l *Launcher) Run(ctx context.Context) error {
	defer l.removeAll(context.WithoutCancel(ctx))
	tick := time.NewTicker(l.o.Every)
	defer tick.Stop()
	for {
		if err := l.Step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Step looks once, and submits what is missing. What the scheduler or the server do
// not answer now, they may the next time: that is logged. The error is for ever.
func (l *Launcher) Step(ctx context.Context) error {
	// The scheduler first: whoever has ended by then had connected before.
	states, err := l.states(ctx)
	if err != nil {
		return l.unanswered(ctx, "the scheduler does not say what became of the jobs", err)
	}
	demand, err := l.o.Demand(ctx)
	if err != nil {
		return l.unanswered(ctx, "the task server does not say what there is to do", err)
	}
	l.look(ctx, states, demand)
	if l.failures >= maxFailures {
		return fmt.Errorf("launch: the last %d jobs ended before their workers had connected; nothing more is submitted: %w", l.failures, l.last)
	}
	for len(l.jobs) < l.wanted(demand) && !l.now().Before(l.again) {
		if err := l.submit(ctx); err != nil {
			l.pause = min(max(2*l.pause, l.o.Every), maxPause)
			l.again = l.now().Add(l.pause)
			l.o.Log.Warn("a job could not be submitted, and is tried again", "in", l.pause.String(), "error", err)
			break
		}
		l.pause = 0
	}
	return nil
}

// unanswered logs what is asked again at the next look. The error is that of a launcher
// that ends: nobody needs to hear why it had no answer.
func (l *Launcher) unanswered(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	l.o.Log.Warn(what, "error", err)
	return nil
}

// wanted is how many jobs there should be: enough for all that is queued and runs,
// a task for each R process.
func (l *Launcher) wanted(d Demand) int {
	jobs := (d.Tasks + int64(l.o.Slots) - 1) / int64(l.o.Slots)
	return int(min(max(jobs, int64(l.o.Min)), int64(l.o.Max)))
}

// states asks the scheduler for its jobs.
func (l *Launcher) states(ctx context.Context) (map[string]state, error) {
	if len(l.jobs) == 0 {
		return nil, nil
	}
	return l.o.Scheduler.states(ctx, slices.Sorted(maps.Keys(l.jobs)))
}

// look finds out which jobs are there still, and which came to nothing.
func (l *Launcher) look(ctx context.Context, states map[string]state, d Demand) {
	now := l.now()
	for id, j := range l.jobs {
		if _, ok := d.Workers[id]; ok && !j.connected {
			j.connected = true
			l.failures = 0
		}
		switch state := states[id]; {
		case state == gone && j.connected:
			l.o.Log.Info("a worker has ended", "job", id)
			delete(l.jobs, id)
		case state == gone:
			l.fail(fmt.Errorf("job %s: %s", id, tail(j.log)))
			l.o.Log.Warn("a job ended before its worker had connected", "job", id, "log", j.log)
			delete(l.jobs, id)
		case state == running && j.running.IsZero():
			j.running = now
		case state == running && !j.connected && now.Sub(j.running) > l.o.StartTimeout:
			l.fail(fmt.Errorf("job %s runs, and its worker has not connected within %s: %s", id, l.o.StartTimeout, tail(j.log)))
			l.o.Log.Warn("the worker of a job does not connect: the job is removed", "job", id, "log", j.log)
			if err := l.o.Scheduler.remove(ctx, id); err != nil {
				l.o.Log.Warn("a job could not be removed", "job", id, "error", err)
			}
			delete(l.jobs, id)
		}
	}
}

func (l *Launcher) fail(err error) {
	l.failures++
	l.last = err
}

// removeAll takes the jobs that are left from the scheduler.
func (l *Launcher) removeAll(ctx context.Context) {
	if len(l.jobs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ids := slices.Sorted(maps.Keys(l.jobs))
	if err := l.o.Scheduler.remove(ctx, ids...); err != nil {
		l.o.Log.Warn("jobs could not be removed", "jobs", ids, "error", err)
	}
}
