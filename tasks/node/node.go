// Package node is a worker of the task queue: it claims tasks, has R run them, and
// writes down what came of them. Package server has one, and package tasks/worker.
//
// What is promised: a task that this worker has claimed is renewed as long as it runs,
// and ends in its record whatever becomes of its R process. A worker that has lost
// its hold on a task, since it was paused or cut off, writes nothing any more: results
// are written on condition that the record is the one of the claim. So a task may run
// twice, and has one result.
//
// Tasks that take milliseconds are claimed in groups, and their results written in
// groups; of those that take longer, one is claimed for each R process that is free.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/trace"
)

// Options are those of a worker. The zero value is usable but for CacheDir.
type Options struct {
	ID     string   // unique among the living; "" is made of the host's name and chance
	Host   string   // "" is the host's name
	Queues []string // in order of priority; empty is default
	Max    int      // R processes; 0 is one a core
	Min    int      // R processes kept up

	// Pool is shared with others, and not closed; nil makes one of Min, Max and Limits.
	Pool     *rpool.Pool
	Limits   rpool.Options     // of the pool that is made
	Pooled   func(*rpool.Pool) // is told the pool once it is there; nil for none
	Base     rpool.Environment // what every environment begins with
	Priority rpool.Priority    // of tasks in the pool

	IdleTimeout time.Duration // Run returns after so long without a task; 0 is never
	Grace       time.Duration // what runs has so long to end in a Drain; 0 is 10s, negative none
	AckWait     time.Duration // leases are renewed three times in it; 0 is the broker's
	Version     string        // of rpipe
	LogTasks    bool          // the worker's log names each task
	Config      string        // name of a tasks.WorkerConfig: what it sets stands in for what is zero here
	CacheDir    string        // for sources of environments and large values on their way
	Launched    string        // the scheduler's name of this process
	Log         *slog.Logger  // nil discards
	Tracer      *trace.Tracer // nil traces nothing
}

// Node is one worker.
type Node struct {
	b    *broker.Broker
	s    *blob.Store
	o    Options
	log  *slog.Logger
	pool *rpool.Pool
	own  bool // the pool is ours
	base tasks.Worker

	lock *os.File // of scratch; nil where that is not this worker's
	jobs jobCache
	envs envCache
	diary
	load load

	hard    context.Context // of what runs: ends when it has to end at once
	kill    context.CancelCauseFunc
	results chan *result
	lanes   *broker.Lanes
	deaf    []func()      // end listen
	requeue chan struct{} // has an element when the settings of queues are to be read
	using   sync.Mutex    // held by who changes the queues of lanes

	mu       sync.Mutex // guards what follows
	changed  *sync.Cond // of what follows
	held     map[string]*held
	writes   map[string]bool // ids of tasks whose claims are being written
	asked    []string        // those of them that a message was about
	ready    []*held         // claimed, and not begun, in order
	busy     int             // tasks in R
	writing  int             // tasks whose result is being written
	done     int64
	mean     time.Duration // of a task in R, lately; 0 is unknown
	last     time.Time     // a task was held
	queues   []string
	paused   map[string]bool // queues
	behind   bool            // lanes are not yet of queues
	pausing  bool            // by a message
	draining bool
	stopped  error // why Run returns
	idle     time.Duration
	pull     context.CancelFunc // interrupts the wait for work
}

// ErrIdle is what Run returns after IdleTimeout.
var ErrIdle = errors.New("node: no task for as long as the idle timeout")

// Why what runs is stopped.
var (
	errCancelled = errors.New("node: the task was cancelled")
	errFenced    = errors.New("node: the task has been taken from this worker")
	errStopped   = errors.New("node: the worker was told to stop")
)

// New makes a worker. Nothing is claimed before Run.
func New(b *broker.Broker, s *blob.Store, o Options) (*Node, error) {
	if o.CacheDir == "" {
		return nil, errors.New("node: no directory for sources and large values: set CacheDir")
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname()
	}
	if o.ID == "" {
		o.ID = freshID(o.Host)
	}
	if err := tasks.CheckName("a worker", o.ID); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.AckWait == 0 {
		o.AckWait = b.AckWait()
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	n := &Node{b: b, s: s, o: o, log: o.Log, held: make(map[string]*held), results: make(chan *result, 1024), requeue: make(chan struct{}, 1)}
	n.changed = sync.NewCond(&n.mu)
	n.jobs.n, n.envs.n = n, n
	n.diary.begin(n)
	n.base = tasks.Worker{
		ID: o.ID, Host: o.Host, Pid: os.Getpid(), Version: o.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Config: o.Config, Job: o.Launched,
	}
	if u, err := user.Current(); err == nil {
		n.base.User = u.Username
	}
	n.hard, n.kill = context.WithCancelCause(context.Background())
	return n, nil
}

// freshID is the host's name, as far as it can stand in a worker's, and chance.
func freshID(host string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, host)
	name = strings.TrimLeft(name, "-_")
	if name == "" {
		name = "worker"
	}
	return name[:min(len(name), 40)] + "-" + nuid.Next()[16:]
}

// Run claims and runs tasks until ctx ends, a Drain is done, a stop message has come, or
// IdleTimeout has passed (ErrIdle). When ctx ends, what runs is stopped and goes back to
// its queue. Nothing of the worker is left when Run returns. It is called once.
func (n *Node) Run(ctx context.Context) error {
	if err := n.start(ctx); err != nil {
		return err
	}
	defer n.end()

	var own sync.WaitGroup // ends when there is nothing left to do
	var chores sync.WaitGroup
	chore, stopChores := context.WithCancel(context.Background())
	for range n.base.Max {
		own.Go(n.runTasks)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		n.writeResults()
	}()
	chores.Go(func() { n.renew(chore) })
	chores.Go(func() { n.announce(chore) })
	chores.Go(func() { n.writeDiary(chore) })
	chores.Go(func() { n.watchIdle(chore) })

	stop := context.AfterFunc(ctx, func() {
		n.Drain()
		n.kill(errStopped)
	})
	defer stop()
	err := n.claimTasks()
	n.giveBack()
	own.Wait()
	n.awaitSettled()
	close(n.results)
	<-written
	stopChores()
	chores.Wait()
	return err
}

// awaitSettled waits until nothing is held: what ends, or is given back, on behalf of
// others may still be under way.
func (n *Node) awaitSettled() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.held) > 0 {
		n.changed.Wait()
	}
}

// start reads the configuration and begins to listen.
func (n *Node) start(ctx context.Context) (err error) {
	if err := n.configure(ctx); err != nil {
		return err
	}
	if err := n.alone(ctx); err != nil {
		return err
	}
	if err := n.openScratch(ctx); err != nil {
		n.closeScratch()
		return fmt.Errorf("node: %w", err)
	}
	pool := n.o.Pool
	if pool == nil {
		o := n.o.Limits
		o.Min, o.Max = n.o.Min, n.o.Max
		if o.Output == nil {
			o.Output = n.Printed
		}
		if pool, err = rpool.New(o); err != nil {
			n.closeScratch()
			return fmt.Errorf("node: %w", err)
		}
		n.own = true
	}
	_, version, err := rpool.FindR(n.o.Base.R)
	if err != nil { // its tasks will say so too
		n.log.Warn("this worker has no R", "error", err)
	}
	now := time.Now().UTC()
	n.mu.Lock()
	n.pool, n.base.Max, n.base.R, n.base.Started = pool, n.o.Max, version, now
	n.last, n.idle, n.queues = now, n.o.IdleTimeout, n.o.Queues
	n.mu.Unlock()
	if n.o.Pooled != nil {
		n.o.Pooled(pool)
	}
	n.load.begin(now)
	if err := n.envs.open(); err != nil {
		n.end()
		return fmt.Errorf("node: %w", err)
	}
	if n.lanes, err = n.b.Lanes(ctx, n.queues); err != nil {
		n.end()
		return fmt.Errorf("node: %w", err)
	}
	if err := n.listen(); err != nil {
		n.end()
		return fmt.Errorf("node: %w", err)
	}
	n.note("ALIVE", strings.Join(n.o.Queues, ", "))
	n.log.Info("working", "worker", n.o.ID, "queues", strings.Join(n.o.Queues, ","), "max", n.o.Max)
	return nil
}

// alone is an error where a living worker has this one's id: it would answer in its place
// whose tasks are lost.
func (n *Node) alone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	data, err := n.b.Request(ctx, tasks.MessageSubject(n.o.ID), []byte(`{"type":"info"}`))
	var other struct{ Value tasks.Worker }
	if err != nil || json.Unmarshal(data, &other) != nil {
		return nil //nolint:nilerr // nobody of this name answers
	}
	return fmt.Errorf("node: there is a worker %s already, process %d on %s: give this one another name", n.o.ID, other.Value.Pid, other.Value.Host)
}

// end lets go of everything.
func (n *Node) end() {
	n.hush()
	if n.lanes != nil {
		n.lanes.Close()
	}
	if n.own {
		n.pool.Close()
	}
	n.jobs.close()
	n.envs.close()
	n.kill(errStopped)
	n.closeScratch()
}

// Drain claims nothing any more. What has not begun goes back to its queue, and so does
// what has not ended within Grace. Run returns then.
func (n *Node) Drain() {
	n.drainWithin(n.o.Grace)
	if n.o.Grace < 0 {
		n.kill(errStopped)
	}
}

// drainWithin is Drain with another grace; 0 is none: what runs may end.
func (n *Node) drainWithin(grace time.Duration) {
	n.drain(nil)
	if grace > 0 {
		timer := time.AfterFunc(grace, func() { n.kill(errStopped) })
		context.AfterFunc(n.hard, func() { timer.Stop() })
	}
}

// drain claims nothing any more; Run will return why.
func (n *Node) drain(why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.draining {
		return
	}
	n.draining, n.stopped = true, why
	if n.pull != nil {
		n.pull()
	}
	n.changed.Broadcast()
}

// watchIdle drains the worker when it has had no task for long enough.
func (n *Node) watchIdle(ctx context.Context) {
	tick := time.NewTicker(idleTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.mu.Lock()
		over := n.idle > 0 && len(n.held) == 0 && time.Since(n.last) >= n.idle
		n.mu.Unlock()
		if over {
			n.note("IDLE", "no task for "+n.idle.String())
			n.drain(ErrIdle)
			return
		}
	}
}

const idleTick = 100 * time.Millisecond
