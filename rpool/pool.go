// Package rpool keeps R processes and lends them out, one request at a time.
//
// Start with [New] and [Pool.Do]: a Pool brings up an R process for each
// [Environment] in use, the template, which loads packages and sources files
// once, and forks workers from it on demand. Workers of all environments share
// one budget of processes and memory. A request waits for a worker of its
// environment, Interactive before Queued before Bulk and in order of arrival within each;
// idle workers of other environments end to make room for it.
//
// What is promised: a worker serves one request at a time. A request ends with
// a reply or one of the errors of this package, and whoever cancels it or lets
// it time out does not spoil the worker for the next one. A worker that dies is
// replaced, its cause told to whoever waited. Nothing is run twice: retrying is
// the caller's business. After [Pool.Close] no process and no goroutine of the
// pool is left, and nothing of it outlives this process, even when killed.
package rpool

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/trace"
)

// Pool is a set of R workers under one budget. Its methods are safe for
// concurrent use.
type Pool struct {
	o      Options
	launch launcher
	ctx    context.Context // ends when the pool closes: nothing is started after
	cancel context.CancelCauseFunc
	tasks  conc.WaitGroup // every goroutine of the pool

	nudged       chan struct{}  // of capacity 1: watch is to look at the times again
	drained      chan struct{}  // closed when nothing waits and nothing is leased while draining
	ended        chan struct{}  // closed when Close is done
	closeErr     error          // set before ended is closed
	mayNice      atomic.Bool    // workers can be niced and raised again
	interactive  atomic.Int32   // leases of Interactive
	answered     atomic.Int64   // Unix time in ns at which the last of them ended; 0 for never
	vary         func() float64 // by which share a worker's limits differ from the configured ones
	spareWaiters sync.Pool

	mu       sync.Mutex // guards what follows, and every crew and member
	crews    map[string]*crew
	byEnv    map[*Environment]*crew
	order    []*crew // by first use; also those that were retired, until they are empty
	used     int     // slots of the budget: claims, idle, leased and leaving workers
	stopping int     // of those, the leaving ones
	leased   int
	lower    int // leases of other priorities than Interactive
	rss      int64
	waiting  [priorities]int // by Priority
	ticket   uint64
	doomed   int // workers up that are to be replaced
	// replacing is the worker whose replacement is on its way, or which is to
	// end because it is up. At most one at a time, so that the pool is never
	// more than one worker over Max.
	replacing *member
	past      Counts                // of crews that are no more
	waits     [priorities]Histogram // by Priority
	runs      [priorities]Histogram // by Priority
	incidents []Incident            // the last ones, the oldest first
	deaths    map[string]int64
	recycled  map[string]int64
	draining  bool
	closed    bool
}

// New makes a pool. It starts no process: the first request for an environment,
// or Warm, does. The error says which option cannot work.
func New(o Options) (*Pool, error) { return newPool(o, launch) }

func newPool(o Options, l launcher) (*Pool, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p := &Pool{
		o: o, launch: l,
		nudged:  make(chan struct{}, 1),
		drained: make(chan struct{}),
		ended:   make(chan struct{}),
		crews:   make(map[string]*crew),
		byEnv:   make(map[*Environment]*crew),
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.spareWaiters.New = func() any { return &waiter{got: make(chan grant, 1)} }
	p.mayNice.Store(mayRaise())
	p.vary = func() float64 { return 0.2*rand.Float64() - 0.1 }
	p.tasks.Go(p.watch)
	return p, nil
}

// Acquire waits for a worker of env and leases it exclusively; Release gives it
// back. An Environment must not be modified once it was used: its source files
// are read for its fingerprint at the first use of the pointer only, so a caller
// that wants to notice changed files makes a new Environment.
//
// Errors are ErrQueueFull, ErrQueueWait, ErrClosed, the cause of ctx, and a
// *StartError where the environment does not come up. The latter is told to all
// who wait at that moment; a later call tries again, after a back-off that grows
// with each failure to 30 s. An Interactive call does not wait for that where it is
// more than a second off: it gets the last error at once.
func (p *Pool) Acquire(ctx context.Context, env *Environment, pri Priority) (*Lease, error) {
	m, err := p.take(ctx, env, pri)
	if err != nil {
		return nil, err
	}
	return &Lease{pool: p, m: m}, nil
}

// Do runs one request on a worker of env: Acquire, Lease.Do and Release. Its
// errors are theirs.
func (p *Pool) Do(ctx context.Context, env *Environment, pri Priority, r *Request) (*Reply, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	start := time.Now()
	_, wait := trace.Start(ctx, "R wait")
	m, err := p.take(ctx, env, pri)
	wait.End(err)
	if r.Trace != nil {
		r.Trace.Queue += time.Since(start)
	}
	if err != nil {
		return nil, err
	}
	defer p.release(m)
	if r.Trace != nil {
		start, r.Trace.Pid = time.Now(), m.proc.Pid()
		defer func() { r.Trace.Run += time.Since(start) }()
	}
	ctx, span := trace.Start(ctx, "R run")
	if span.On() {
		span.Set(trace.Int("rpipe.r.pid", m.proc.Pid()), trace.String("rpipe.r.kind", r.Kind.String()))
	}
	r.traceparent, r.tracestate = trace.Header(ctx)
	reply, err := p.run(ctx, m, nil, r)
	span.End(err)
	return reply, err
}
