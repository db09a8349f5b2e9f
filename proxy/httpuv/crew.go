package httpuv

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// crew is the workers that serve, and those who wait for one.
type crew struct {
	o     Options
	limit Workers

	done  chan struct{} // closed when the crew ends: nothing is started any more
	tasks sync.WaitGroup

	mu       sync.Mutex
	workers  []*worker // that serve
	waiting  []*waiter // first come first served
	starting int
	leasing  map[int]context.CancelFunc // starts that wait for the pool
	nextID   int
	draining bool
	empty    chan struct{} // closed when draining and nothing is under way
	ending   bool          // hung will be closed when old websockets have had their time
	hung     chan struct{} // closed when websockets are to end

	failures  int // starts in a row
	failure   error
	notBefore time.Time // no start before it
}

// ask is what a request wants of a worker.
type ask struct {
	socket bool   // it is a websocket
	prefer string // id of the worker that it should go to; "" for any
}

type waiter struct {
	ask ask
	got chan grant // of capacity 1
}

type grant struct {
	w   *worker
	err error
}

func newCrew(o Options) *crew {
	return &crew{
		o: o, limit: o.Config.limits(o.Pool.Stats().Max),
		done: make(chan struct{}), hung: make(chan struct{}), leasing: map[int]context.CancelFunc{},
	}
}

// open brings up the first worker, and starts the others of min.
func (c *crew) open(ctx context.Context) error {
	w, err := launch(ctx, &c.o, func() {})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.join(w)
	c.grow()
	c.tasks.Go(c.watch)
	return nil
}

// take waits for a worker with room and counts the request there; give must
// follow. Errors are rpool.ErrQueueFull, rpool.ErrQueueWait, fault.ErrDraining,
// the cause of ctx, and why no worker comes up.
func (c *crew) take(ctx context.Context, a ask) (*worker, error) {
	c.mu.Lock()
	if c.draining {
		c.mu.Unlock()
		return nil, fault.ErrDraining
	}
	if w := c.fit(a); w != nil {
		w.hold(a)
		c.mu.Unlock()
		return w, nil
	}
	if len(c.waiting) >= c.o.QueueLength {
		c.mu.Unlock()
		return nil, rpool.ErrQueueFull
	}
	q := &waiter{ask: a, got: make(chan grant, 1)}
	c.waiting = append(c.waiting, q)
	c.grow()
	c.mu.Unlock()

	var late <-chan time.Time
	if c.o.QueueWait > 0 {
		t := time.NewTimer(c.o.QueueWait)
		defer t.Stop()
		late = t.C
	}
	select {
	case g := <-q.got:
		return g.w, g.err
	case <-ctx.Done():
		return nil, c.leave(q, context.Cause(ctx))
	case <-late:
		return nil, c.leave(q, rpool.ErrQueueWait)
	}
}

// leave takes q out of the queue; what it was granted meanwhile goes back.
func (c *crew) leave(q *waiter, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.waiting {
		if o == q {
			c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
			c.settle()
			return err
		}
	}
	if g := <-q.got; g.w != nil {
		c.letGo(g.w, q.ask)
	}
	return err
}

// give ends what take has begun.
func (c *crew) give(w *worker, a ask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letGo(w, a)
}

func (w *worker) hold(a ask) {
	w.served++
	if a.socket {
		w.sockets++
	} else {
		w.requests++
	}
}

// letGo is give with c.mu held.
func (c *crew) letGo(w *worker, a ask) {
	if a.socket {
		w.sockets--
	} else {
		w.requests--
	}
	if !isClosed(w.ended) {
		w.proven = true
		c.failures, c.failure = 0, nil
	}
	if !w.busy() {
		w.idle = time.Now()
	}
	c.settle()
}

// fit is the worker for a, nil where it has to wait. c.mu is held.
func (c *crew) fit(a ask) *worker {
	if a.prefer != "" {
		w := c.find(a.prefer)
		switch {
		case w == nil, isClosed(w.ended), w.leaving && w.sockets == 0:
			// Its session's worker is gone: any other will do.
		case c.room(w, a.socket):
			return w
		case !a.socket:
			return nil // what it is about is in that worker alone
		}
	}
	var best *worker
	for _, w := range c.workers {
		if !w.leaving && c.room(w, a.socket) && (best == nil || w.requests+w.sockets < best.requests+best.sockets) {
			best = w
		}
	}
	return best
}

// find is the worker of an id. c.mu is held.
func (c *crew) find(id string) *worker {
	for _, w := range c.workers {
		if w.id == id {
			return w
		}
	}
	return nil
}

// room reports whether w can take one more. c.mu is held.
func (c *crew) room(w *worker, socket bool) bool {
	if w.blocked || socket && w.leaving || isClosed(w.ended) {
		return false
	}
	if socket {
		return w.sockets < c.limit.Sessions
	}
	return w.requests < c.limit.Requests
}

// settle brings the crew from any state to one where nothing more can be done at
// once. c.mu is held.
func (c *crew) settle() {
	for i := 0; i < len(c.waiting); {
		q := c.waiting[i]
		w := c.fit(q.ask)
		if w == nil {
			i++
			continue
		}
		w.hold(q.ask)
		q.got <- grant{w: w}
		c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
	}
	for _, w := range append([]*worker(nil), c.workers...) {
		c.age(w)
	}
	c.grow()
	if c.draining && c.empty != nil && !c.busy() {
		close(c.empty)
		c.empty = nil
	}
}

func (c *crew) busy() bool {
	for _, w := range c.workers {
		if w.busy() {
			return true
		}
	}
	return false
}

// join takes a worker in. c.mu is held.
func (c *crew) join(w *worker) {
	c.workers = append(c.workers, w)
	c.tasks.Go(func() { c.follow(w) })
}

// follow waits for the end of a worker, and tells of one that nobody wanted.
func (c *crew) follow(w *worker) {
	<-w.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.gone {
		return
	}
	c.remove(w)
	c.tasks.Go(func() { w.kill() })
	err := w.err
	if err == nil {
		err = errors.New("it has ended by itself")
	}
	if errors.Is(err, rpool.ErrClosed) {
		return
	}
	c.o.Log.Warn("an R worker serves no more", "pid", w.lease.Pid(), "requests", w.requests, "websockets", w.sockets, "error", err)
	if !w.proven { // else it may be what it was asked, and the next is as good
		c.failed(&deathError{err})
	}
	c.settle()
}

// deathError is the end of a worker that served.
type deathError struct{ err error }

func (e *deathError) Error() string { return "the R worker serves no more: " + e.err.Error() }
func (e *deathError) Unwrap() error { return e.err }

// remove takes w out. Whoever calls it sees to its end. c.mu is held.
func (c *crew) remove(w *worker) {
	w.gone = true
	for i, o := range c.workers {
		if o == w {
			c.workers = append(c.workers[:i:i], c.workers[i+1:]...)
			return
		}
	}
}

func (c *crew) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Starting: c.starting, Waiting: len(c.waiting)}
	if c.failure != nil {
		s.Failure = c.failure.Error()
	}
	for _, w := range c.workers {
		s.Workers = append(s.Workers, WorkerStatus{
			Pid: w.lease.Pid(), Requests: w.requests, Websockets: w.sockets,
			Served: w.served, Since: w.born, Leaving: w.leaving,
		})
	}
	return s
}
