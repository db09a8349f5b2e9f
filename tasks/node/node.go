// Package node is a worker of the task queue: it claims tasks, has R run them, and
// writes down what came of them.
//
// What is promised: a task that this worker has claimed is renewed as long as it runs,
// and ends in its record whatever becomes of its R process. A worker that has lost
// its hold on a task, since it was paused or cut off, writes nothing any more. Results
// are written on condition that the record is the one of the claim, so a task may run
// twice, and has one result.
package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Options are those of a worker. The zero value is usable but for CacheDir.
type Options struct {
	ID     string   // unique among the living; "" is made of the host's name and chance
	Host   string   // "" is the host's name
	Queues []string // in order of priority; empty is default
	Max    int      // R processes; 0 is one a core, or what Pool allows
	Min    int      // R processes kept up

	// Pool is shared with others, and not closed; nil makes one of Min, Max and Limits.
	Pool   *rpool.Pool
	Limits rpool.Options     // of the pool that is made
	Base   rpool.Environment // what every environment begins with: R, User, Start, Env

	IdleTimeout time.Duration // Run returns after so long without a task; 0 is never
	Grace       time.Duration // what runs has so long to end when Run's context does; 0 is 10s
	AckWait     time.Duration // of the broker: a lease is renewed three times in it; 0 is 30s
	Version     string        // of rpipe
	LogTasks    bool          // the worker's log names each task
	Config      string        // name of a tasks.WorkerConfig; what it sets stands in for what is zero here
	CacheDir    string        // for sources and large values
	Launched    string        // the scheduler's name of this process
	Log         *slog.Logger  // nil discards
}

// Node is one worker.
type Node struct{}

// ErrIdle is what Run returns after IdleTimeout.
var ErrIdle = errors.New("node: no task for as long as IdleTimeout")

// New makes a worker. Nothing is claimed before Run.
func New(b *broker.Broker, s *blob.Store, o Options) (*Node, error) {
	return nil, errors.ErrUnsupported
}

// Run claims and runs tasks until ctx ends, Drain is done, a stop message has come, or
// IdleTimeout has passed (ErrIdle). It returns when nothing of it runs any more.
func (n *Node) Run(ctx context.Context) error { return errors.ErrUnsupported }

// Drain claims nothing any more; Run returns when what runs has ended.
func (n *Node) Drain() {}

// Info is what others are told of this worker.
func (n *Node) Info() tasks.Worker { return tasks.Worker{} }
