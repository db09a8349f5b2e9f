package queue

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// role is that of the server that does the chores.
const role = "queue"

// restAfter is how long the leader rests after a chore has failed.
const restAfter = time.Second

// lead does the chores while this process leads, until ctx ends.
func (q *Queue) lead(ctx context.Context) {
	for ctx.Err() == nil {
		err := q.broker.Lead(ctx, role, q.chores)
		if ctx.Err() != nil {
			return
		}
		q.log.Error("the chores of the queue were interrupted, and begin anew", "error", err)
		q.pause(ctx, restAfter)
	}
}

func (q *Queue) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// chores runs all of them until ctx ends or one fails.
func (q *Queue) chores(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := &leader{q: q, absent: map[string]time.Time{}, short: map[string]bool{}, wake: make(chan struct{}, 1)}
	seq, err := q.broker.LastSeq(ctx)
	if err == nil {
		err = q.index.Sync(ctx, seq)
	}
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	for name, chore := range map[string]func(context.Context) error{
		"dependencies": func(ctx context.Context) error { return l.resolve(ctx, seq) },
		"admission":    l.admission,
		"sweeps":       l.sweeps,
	} {
		running.Go(func() {
			if err := chore(ctx); err != nil && ctx.Err() == nil {
				q.log.Warn("a chore of the queue failed", "chore", name, "error", err)
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	running.Wait()
	return context.Cause(ctx)
}

// leader is the one that does the chores.
type leader struct {
	q *Queue

	wake    chan struct{}           // something may be admitted
	blocked atomic.Pointer[blocked] // by the last admission

	absent map[string]time.Time // workers that have tasks and are not heard of, since when
	short  map[string]bool      // queues that lacked messages at the last sweep
	swept  time.Time            // blobs, last
}

// blocked are the owners and jobs that were at a limit when tasks of theirs were to be
// admitted.
type blocked struct{ owners, jobs map[string]bool }

// nudge wakes the admission.
func (l *leader) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// sweeps looks from time to time for what got lost or is no longer needed.
func (l *leader) sweeps(ctx context.Context) error {
	first := true
	for {
		if err := l.sweep(ctx, first); err != nil {
			return err
		}
		first = false
		l.q.pause(ctx, l.q.o.Sweep)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// sweep does every sweep once. One that fails does not keep the others from theirs,
// unless it is that this process no longer leads.
func (l *leader) sweep(ctx context.Context, first bool) error {
	var failed error
	for _, s := range []func(context.Context, bool) error{l.orphans, l.lost, l.incomplete, l.expired, l.blobs} {
		if err := s(ctx, first); err != nil {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return failed
}

// holds reports whether a task of j that becomes PENDING now has to be admitted.
func (q *Queue) holds(ctx context.Context, j *tasks.Job) (bool, error) {
	if j.Holds(time.Now()) {
		return true, nil
	}
	return q.limited(ctx, j.Owner)
}
