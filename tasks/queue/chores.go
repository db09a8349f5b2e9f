package queue

import (
	"context"
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
	l := newLeader(q)
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
		"limits":       l.withholding,
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

	wake      chan struct{}           // something may be admitted
	relimited chan struct{}           // limits of an owner have changed
	blocked   atomic.Pointer[blocked] // by the last admission

	absent map[string]time.Time // workers that have tasks and are not heard of, since when
	short  map[string]bool      // queues that lacked messages at the last sweep
	swept  time.Time            // blobs, last
}

// blocked are the owners and jobs that were at a limit when tasks of theirs were to be
// admitted.
type blocked struct{ owners, jobs map[string]bool }

func newLeader(q *Queue) *leader {
	return &leader{q: q, absent: map[string]time.Time{}, short: map[string]bool{}, wake: make(chan struct{}, 1), relimited: make(chan struct{}, 1)}
}

// nudge wakes the admission.
func (l *leader) nudge() { signal(l.wake) }

// signal wakes who waits for c, now or later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sweep looks for one sort of what got lost or is no longer needed.
type sweep struct {
	name string
	run  func(ctx context.Context, first bool) error
	done bool // once, by this leader
}

// sweeps does every sweep from time to time. One that fails keeps neither the others
// nor the other chores from theirs, and is tried again: the place of the values may be
// out of reach for hours.
func (l *leader) sweeps(ctx context.Context) error {
	all := []*sweep{
		{name: "lost messages", run: l.orphans}, {name: "lost workers", run: l.lost}, {name: "unfinished jobs", run: l.incomplete},
		{name: "expired tasks", run: l.expired}, {name: "unused values", run: l.blobs},
	}
	for ctx.Err() == nil {
		l.sweepAll(ctx, all)
		l.q.pause(ctx, l.q.o.Sweep)
	}
	return nil
}

func (l *leader) sweepAll(ctx context.Context, all []*sweep) {
	for _, s := range all {
		err := s.run(ctx, !s.done)
		if ctx.Err() != nil {
			return
		}
		if s.done = s.done || err == nil; err != nil {
			l.q.log.Warn("a sweep of the queue failed, and is tried again", "sweep", s.name, "error", err)
		}
	}
}

// holds reports whether a task of j that becomes PENDING now has to be admitted.
func (q *Queue) holds(ctx context.Context, j *tasks.Job) (bool, error) {
	if j.Holds(time.Now()) {
		return true, nil
	}
	return q.limited(ctx, j.Owner)
}
