package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// Lost is the state of a worker that has tasks and has not been heard of.
const Lost = "LOST"

// Workers are those that are alive, and, as LOST, those that have tasks and are not; by id.
func (q *Queue) Workers(ctx context.Context) ([]tasks.Worker, error) {
	all, err := q.alive(ctx)
	if err != nil {
		return nil, err
	}
	err = q.eachRunning(ctx, func(rows []index.TaskRow) error {
		for _, r := range rows {
			w, known := all[r.Worker]
			switch {
			case !known:
				w = tasks.Worker{ID: r.Worker, Host: r.Host, State: Lost}
				fallthrough
			case w.State == Lost:
				if w.Busy++; len(w.Tasks) < 100 {
					w.Tasks = append(w.Tasks, r.ID())
				}
				all[r.Worker] = w
			}
		}
		return nil
	})
	workers := slices.Collect(maps.Values(all))
	slices.SortFunc(workers, func(a, b tasks.Worker) int { return cmp.Compare(a.ID, b.ID) })
	return workers, err
}

// alive are the workers that have been heard of, by id.
func (q *Queue) alive(ctx context.Context) (map[string]tasks.Worker, error) {
	there, err := q.broker.Present(ctx, tasks.WorkerKeys)
	if err != nil {
		return nil, fmt.Errorf("look for workers: %w", err)
	}
	all := map[string]tasks.Worker{}
	for k, data := range there {
		var w tasks.Worker
		if err := json.Unmarshal(data, &w); err != nil {
			return nil, fmt.Errorf("what %s says of itself: %w", k, err)
		}
		all[w.ID] = w
	}
	return all, nil
}

// eachRunning calls f with pages of the tasks that run.
func (q *Queue) eachRunning(ctx context.Context, f func([]index.TaskRow) error) error {
	filter := index.Filter{States: []tasks.State{tasks.Running}, Limit: chunk, Oldest: true}
	for {
		rows, next, err := q.index.Tasks(ctx, filter)
		if err != nil {
			return err
		}
		if err := f(rows); err != nil || next == "" {
			return err
		}
		filter.After = next
	}
}

// Message sends one to a worker and returns its reply, both as the worker has them.
// ErrMissing where there is no such worker.
func (q *Queue) Message(ctx context.Context, worker string, message []byte) (reply []byte, err error) {
	if err := tasks.CheckName("a worker", worker); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	reply, err = q.broker.Request(ctx, tasks.MessageSubject(worker), message)
	if errors.Is(err, broker.ErrNoResponder) {
		return nil, fmt.Errorf("worker %s: %w: nobody of that name listens", worker, ErrMissing)
	}
	return reply, err
}

// LogFunc is called with each message of a log, as the worker wrote it.
type LogFunc = func(seq uint64, t time.Time, data []byte) error

// Log reads what a task has printed, from after the sequence number after on (0 is the
// beginning); follow waits for more until the task has ended, or was retried.
func (q *Queue) Log(ctx context.Context, who Who, id string, after uint64, follow bool, f LogFunc) error {
	t, err := q.one(ctx, who, id)
	if err != nil {
		return err
	}
	if !follow || t.State.Final() {
		return q.broker.ReadLog(ctx, t.Job, t.N, after, f)
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- q.untilEnded(following, t)
	}()
	last := after
	err = q.broker.FollowLog(following, t.Job, t.N, after, func(seq uint64, at time.Time, data []byte) error {
		last = seq
		return f(seq, at, data)
	})
	wasOver := following.Err() != nil && ctx.Err() == nil
	stop()
	waited := <-ended
	if !wasOver || waited != nil {
		return cmp.Or(context.Cause(ctx), waited, err)
	}
	// What came between the last line that was followed and the end.
	return q.broker.ReadLog(ctx, t.Job, t.N, last, f)
}

// untilEnded waits until a task has ended, or was retried.
func (q *Queue) untilEnded(ctx context.Context, t *tasks.Task) error {
	over := false
	w := &watch{q: q, targets: []target{{job: t.Job, n: t.N}}}
	w.see = func(_, _ int, now *tasks.Task) error {
		over = now.State.Final() || now.State == tasks.Missing || now.MovedFrom == t.ID()
		return nil
	}
	w.settled = func() (bool, error) { return over, nil }
	return w.run(ctx)
}

// Progress is the last that a task has told of itself, and when; nil where that is nothing.
func (q *Queue) Progress(ctx context.Context, who Who, id string) (*tasks.Value, time.Time, error) {
	var last tasks.Told
	err := q.Log(ctx, who, id, 0, false, func(_ uint64, at time.Time, data []byte) error {
		var told tasks.Told
		if err := json.Unmarshal(data, &told); err != nil {
			return fmt.Errorf("log of task %s: %w", id, err)
		}
		if told.Progress != nil {
			if last = told; last.At.IsZero() {
				last.At = at
			}
		}
		return nil
	})
	return last.Progress, last.At, err
}
