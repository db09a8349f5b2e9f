// Package queue is the task queue as its users see it: it submits jobs, tells of them,
// waits for them, cancels, retries and deletes them, and keeps the settings of queues,
// owners, environments and workers. Package server is its user, and whatever else runs
// tasks without HTTP between.
//
// What is promised: a job that Submit has returned is kept, with all of its tasks, until
// it is deleted or its result expires. Every change of a task is a write of its record
// on condition that nobody has changed it in the meantime, so any number of servers may
// work on one broker. What a crash leaves half done, the chores finish: one of the
// servers at a time leads, and releases tasks whose dependencies are COMPLETE, admits
// those that had to wait, sends work anew that got lost, takes tasks from workers that
// are gone, and sweeps away what nobody needs. Chores may be done twice without harm.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// Options are those of a Queue. The zero value is usable.
type Options struct {
	// Owner are the limits of owners who have none of their own.
	Owner tasks.OwnerConfig
	// ResultTTL is that of jobs that name none; 0 keeps them.
	ResultTTL time.Duration
	// MaxTasks is how many tasks a job may have; 0 is 10 million.
	MaxTasks int
	// BlobGrace is how long a value stays that nobody refers to; 0 is 24h. At least 2h.
	BlobGrace time.Duration
	// LostAfter is how long a worker must be silent before its tasks are taken from it,
	// where no redelivery does so; 0 is 45s.
	LostAfter time.Duration
	// Sweep is how often the leader looks for what got lost; 0 is 30s.
	Sweep time.Duration
	// NoChores leaves the chores to other servers.
	NoChores bool
	Log      *slog.Logger // nil discards
}

// Queue is the task queue. Its methods may be called by several goroutines.
type Queue struct {
	broker *broker.Broker
	blobs  *blob.Store
	index  *index.Index
	o      Options
	log    *slog.Logger

	jobs     jobCache
	settings settings
	ahead    reservations
	last     highest // sequence number that this Queue has written

	tracked int // see maxTracked

	resultTTL atomic.Int64 // Options.ResultTTL, or what was set since

	leading context.Context // of the chores
	closed  chan struct{}
	stop    func()
	done    sync.WaitGroup
}

// Open makes a Queue, and begins the chores. x must be fed by the caller, who closes
// what he has opened after Close.
func Open(ctx context.Context, b *broker.Broker, s *blob.Store, x *index.Index, o Options) (*Queue, error) {
	if o.MaxTasks == 0 {
		o.MaxTasks = 10_000_000
	}
	if o.BlobGrace == 0 {
		o.BlobGrace = 24 * time.Hour
	}
	if o.BlobGrace < 2*blob.Fresh {
		return nil, fmt.Errorf("queue: values must stay for %s at least before they are swept away, since a submission may be about to refer to them; it is %s", 2*blob.Fresh, o.BlobGrace)
	}
	if o.LostAfter == 0 {
		o.LostAfter = 45 * time.Second
	}
	if o.Sweep == 0 {
		o.Sweep = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{broker: b, blobs: s, index: x, o: o, log: o.Log, tracked: maxTracked, closed: make(chan struct{})}
	q.SetResultTTL(o.ResultTTL)
	if _, err := b.LastSeq(ctx); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	leading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	q.leading = leading
	q.stop = sync.OnceFunc(func() { close(q.closed); cancel() })
	if !o.NoChores {
		q.done.Go(func() { q.lead(leading) })
	}
	return q, nil
}

// SetResultTTL changes Options.ResultTTL for what is submitted from now.
func (q *Queue) SetResultTTL(ttl time.Duration) { q.resultTTL.Store(int64(ttl)) }

// Close ends the chores and all that waits.
func (q *Queue) Close() error {
	q.stop()
	q.done.Wait()
	return nil
}

// Who asks. Tasks of another owner are missing to who may not see them.
type Who struct {
	Owner string
	Admin bool // may see and change everybody's, and settings
	Read  bool // may see everybody's
}

func (w Who) sees(owner string) bool    { return w.Admin || w.Read || w.Owner == owner }
func (w Who) changes(owner string) bool { return w.Admin || w.Owner == owner }

// ErrMissing says that there is no such thing, or none that the asker may see.
var ErrMissing = errors.New("not found")

// ErrForbidden says that the asker may see but not change it.
var ErrForbidden = errors.New("not allowed")

// InvalidError says what is wrong with what was asked, and how to mend it.
type InvalidError struct {
	Field   string // path in the submission, such as call.args[2].task; "" for all of it
	Message string
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

func invalid(field, format string, args ...any) error {
	return &InvalidError{field, fmt.Sprintf(format, args...)}
}

// RefusedError says that a queue or an owner is at a limit.
type RefusedError struct {
	Reason     string
	RetryAfter time.Duration // when it may be worth trying again; 0 is not without freeing something
}

func (e *RefusedError) Error() string { return e.Reason }

// ConflictError says that a task is in no state for what was asked.
type ConflictError struct {
	ID     string
	State  tasks.State
	Reason string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("task %s is %s: %s", e.ID, e.State, e.Reason)
}
