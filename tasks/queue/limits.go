package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// RetryAfter is when a submitter that was refused may try again.
const RetryAfter = 5 * time.Second

// settingsAge is how long settings are used before they are read again: those that
// another server has set take effect within it.
const settingsAge = time.Second

// settings has settings that were read lately, by subject.
type settings struct {
	mu sync.Mutex
	by map[string]setting
}

type setting struct {
	value any
	at    time.Time
}

// cached is read, but what it says may be settingsAge old. zero is for what is not set.
func cached[T any](ctx context.Context, q *Queue, subject string, zero T) (T, error) {
	c := &q.settings
	c.mu.Lock()
	s, ok := c.by[subject]
	c.mu.Unlock()
	if ok && time.Since(s.at) < settingsAge {
		return s.value.(T), nil
	}
	v := zero
	if _, err := q.read(ctx, subject, &v); err != nil {
		return zero, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil || len(c.by) > 1000 {
		c.by = map[string]setting{}
	}
	c.by[subject] = setting{v, time.Now()}
	return v, nil
}

func (c *settings) drop(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, subject)
}

// limits are those of an owner.
func (q *Queue) limits(ctx context.Context, owner string) (tasks.OwnerConfig, error) {
	c := q.o.Owner
	c.Owner = owner
	return cached(ctx, q, tasks.OwnerSubject(owner), c)
}

func (q *Queue) queueConfig(ctx context.Context, queue string) (tasks.QueueConfig, error) {
	return cached(ctx, q, tasks.QueueSubject(queue), tasks.QueueConfig{Name: queue})
}

// limited reports whether tasks of an owner have to be admitted.
func (q *Queue) limited(ctx context.Context, owner string) (bool, error) {
	c, err := q.limits(ctx, owner)
	return c.MaxRunning > 0 || c.MaxJobs > 0, err
}

// reservations are what submissions on their way take of limits until the index counts it.
type reservations struct {
	mu  sync.Mutex
	all map[*reservation]struct{}
}

// reservation is one submission's.
type reservation struct {
	q            *Queue
	queue, owner string
	n            int64
	bytes        int64
	seq          uint64 // of its last record; 0 while it is not written
}

// reserve makes sure that there is room for a job in its queue, and of its owner's
// share of values, as far as its size is known before its elements are read.
func (q *Queue) reserve(ctx context.Context, j *tasks.Job, s *Submission) (*reservation, error) {
	r := &reservation{q: q, queue: j.Queue, owner: j.Owner}
	n, bytes := int64(1), int64(len(j.Call.Code.Data))
	for _, a := range j.Call.Args {
		bytes += max(int64(len(a.Value.Data)), a.Value.Size)
	}
	for _, e := range s.Elements {
		bytes += int64(len(e))
	}
	if s.Elements != nil {
		n = int64(len(s.Elements))
	}
	return r, r.take(ctx, n, bytes)
}

// grow makes sure that there is room for what the job has turned out to be so far.
func (r *reservation) grow(ctx context.Context, j *tasks.Job) error {
	return r.take(ctx, max(r.n, int64(j.N)), max(r.bytes, valueBytes(j)))
}

// valueBytes are those of code, arguments and elements.
func valueBytes(j *tasks.Job) int64 {
	bytes := j.Call.Code.Size + j.Over.Size
	for _, a := range j.Call.Args {
		bytes += a.Value.Size
	}
	return bytes
}

// take asks for n tasks with so many bytes, in place of what r had. What the index has
// not counted out yet, though it has ended, is no reason to refuse.
func (r *reservation) take(ctx context.Context, n, bytes int64) error {
	err := r.takeNow(ctx, n, bytes)
	for range 5 { // what is written meanwhile may be counted twice
		var refused *RefusedError
		if !errors.As(err, &refused) {
			return err
		}
		if err := r.q.sync(ctx); err != nil {
			return err
		}
		err = r.takeNow(ctx, n, bytes)
	}
	return err
}

func (r *reservation) takeNow(ctx context.Context, n, bytes int64) error {
	q := r.q
	c, err := q.queueConfig(ctx, r.queue)
	if err != nil {
		return err
	}
	o, err := q.limits(ctx, r.owner)
	if err != nil {
		return err
	}
	if c.MaxLength == 0 && c.MaxBytes == 0 && o.MaxBytes == 0 {
		return nil
	}
	q.ahead.mu.Lock()
	defer q.ahead.mu.Unlock()
	seen := q.index.Status().Seq // before the counts are read: what is counted twice is only refused too early
	stats, err := q.index.QueueStats(ctx)
	if err != nil {
		return err
	}
	owned, err := q.index.OwnerStats(ctx, r.owner)
	if err != nil {
		return err
	}
	var ahead, queued, kept int64
	for other := range q.ahead.all {
		switch {
		case other == r:
		case other.seq > 0 && other.seq <= seen:
			delete(q.ahead.all, other)
		default:
			if other.queue == r.queue {
				ahead, queued = ahead+other.n, queued+other.bytes
			}
			if other.owner == r.owner {
				kept += other.bytes
			}
		}
	}
	there := stats[r.queue]
	switch {
	case c.MaxLength > 0 && there.Pending+there.Deferred+ahead+n > int64(c.MaxLength):
		if n > int64(c.MaxLength) {
			return &RefusedError{fmt.Sprintf("queue %s takes %d tasks at most: submit fewer at a time", r.queue, c.MaxLength), 0}
		}
		return &RefusedError{fmt.Sprintf("queue %s is full: %d tasks wait, of at most %d", r.queue, there.Pending+there.Deferred+ahead, c.MaxLength), RetryAfter}
	case c.MaxBytes > 0 && there.Bytes+queued+bytes > c.MaxBytes:
		return &RefusedError{fmt.Sprintf("queue %s is full: arguments of what waits have %d bytes, of at most %d", r.queue, there.Bytes+queued, c.MaxBytes), RetryAfter}
	case o.MaxBytes > 0 && owned.Bytes+kept+bytes > o.MaxBytes:
		return &RefusedError{fmt.Sprintf("the values of %s have %d bytes, of at most %d: delete tasks that are not needed", r.owner, owned.Bytes+kept, o.MaxBytes), 0}
	}
	r.n, r.bytes = n, bytes
	if q.ahead.all == nil {
		q.ahead.all = map[*reservation]struct{}{}
	}
	q.ahead.all[r] = struct{}{}
	return nil
}

// written says that what was reserved is in records up to seq.
func (r *reservation) written(seq uint64) {
	r.q.ahead.mu.Lock()
	defer r.q.ahead.mu.Unlock()
	r.seq = seq
}

// end gives back what was not written.
func (r *reservation) end() {
	r.q.ahead.mu.Lock()
	defer r.q.ahead.mu.Unlock()
	if r.seq == 0 {
		delete(r.q.ahead.all, r)
	}
}

// set changes a setting by f, on what it is now, and returns what it has become.
func set[T any](ctx context.Context, q *Queue, subject string, zero T, f func(*T) error) (T, error) {
	for range rounds {
		v := zero
		rev, err := q.read(ctx, subject, &v)
		if err != nil {
			return zero, err
		}
		if err := f(&v); err != nil {
			return zero, err
		}
		data, err := json.Marshal(v)
		if err != nil {
			return zero, err
		}
		if _, err := q.write(ctx, broker.Write{Subject: subject, Data: data, Expect: rev}); err == nil {
			q.settings.drop(subject)
			return v, nil
		} else if !isConflict(err) {
			return zero, fmt.Errorf("set %s: %w", subject, err)
		}
	}
	return zero, fmt.Errorf("set %s: others change it all the time", subject)
}
