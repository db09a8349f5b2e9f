package httpuv

import (
	"context"
	"errors"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// How long starts that fail are spaced out, at first and at most.
const (
	backoff    = 200 * time.Millisecond
	backoffMax = 30 * time.Second
	patience   = time.Second // requests wait for so long for the next start
)

// grow starts workers: for those who wait and no worker on its way will have room
// for, and up to min. Starts that nobody needs any more stop waiting for the
// pool. c.mu is held.
func (c *crew) grow() {
	if c.draining {
		return
	}
	sockets, requests := 0, 0
	for _, q := range c.waiting {
		switch {
		case q.ask.prefer != "" && !q.ask.socket && c.find(q.ask.prefer) != nil:
		case q.ask.socket:
			sockets++
		default:
			requests++
		}
	}
	serving := 0
	successors := 0
	for _, w := range c.workers {
		if !w.leaving {
			serving++
		}
		if w.replacing && !w.leaving {
			successors++
		}
	}
	want := max(ceil(sockets, c.limit.Sessions), ceil(requests, c.limit.Requests))
	want = max(want, c.limit.Min-serving, successors)
	// A worker that is leaving holds a place of the pool still.
	want = min(want, c.limit.Max-len(c.workers)+successors)
	if want <= 0 {
		for _, cancel := range c.leasing {
			cancel()
		}
		return
	}
	if pause := time.Until(c.notBefore); pause > 0 {
		if len(c.workers) == 0 && c.starting == 0 && pause > patience {
			c.refuse(c.failure)
		}
		return
	}
	for c.starting < want {
		c.start()
	}
}

func ceil(n, by int) int { return (n + by - 1) / by }

// start brings up one worker. c.mu is held.
func (c *crew) start() {
	ctx, cancel := context.WithCancel(context.Background())
	id := c.nextID
	c.nextID++
	c.starting++
	c.leasing[id] = cancel
	c.tasks.Go(func() {
		defer cancel()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			select {
			case <-c.done:
				cancel()
			case <-stop:
			}
		}()
		w, err := launch(ctx, &c.o, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.leasing, id) // from here on it is not worth stopping
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.starting--
		delete(c.leasing, id)
		switch {
		case err == nil && c.closed():
			c.tasks.Go(w.stop)
			return
		case err == nil:
			c.join(w)
			c.succeed()
		case ctx.Err() != nil, errors.Is(err, rpool.ErrClosed):
		default:
			c.failed(err)
		}
		c.settle()
	})
}

// succeed lets a worker leave that has waited for a successor. c.mu is held.
func (c *crew) succeed() {
	for _, w := range c.workers {
		if w.replacing && !w.leaving {
			w.leaving = true
			return
		}
	}
}

// failed keeps off the next start, and tells those who wait where no worker is
// left that could serve them. c.mu is held.
func (c *crew) failed(err error) {
	pause := backoff
	if !errors.Is(err, rpool.ErrQueueFull) && !errors.Is(err, rpool.ErrQueueWait) {
		pause = min(backoff<<min(c.failures, 10), backoffMax)
		c.failures++
		c.failure = err
		if len(c.workers) > 0 || len(c.waiting) == 0 {
			c.o.Log.Warn("an R worker did not come up", "next_attempt_after", pause, "error", err)
		}
	}
	c.notBefore = time.Now().Add(pause) // a pool without room has none at once either
	c.tasks.Go(func() { c.again(pause) })
	if len(c.workers) == 0 && c.starting == 0 && !isDeath(err) {
		c.refuse(err)
	}
}

// isDeath tells the end of a worker that had come up: the next may be better.
func isDeath(err error) bool {
	var died *deathError
	return errors.As(err, &died)
}

// again looks whether to start once the pause after a failure is over.
func (c *crew) again(pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settle()
	case <-c.done:
	}
}

// refuse answers all who wait with err. c.mu is held.
func (c *crew) refuse(err error) {
	for _, q := range c.waiting {
		q.got <- grant{err: err}
	}
	c.waiting = nil
}

// age sees to the end of a worker that has had its day, or has nothing to do.
// c.mu is held.
func (c *crew) age(w *worker) {
	if w.gone {
		return
	}
	old := c.limit.MaxRequests > 0 && w.served >= c.limit.MaxRequests ||
		c.limit.MaxLifetime > 0 && time.Since(w.born) >= time.Duration(c.limit.MaxLifetime)
	if old && !w.replacing && !c.draining {
		w.replacing = true
		if !c.mayHaveOneMore() { // its place is what the successor needs
			w.leaving = true
		}
	}
	switch {
	case w.busy() || c.draining:
	case w.leaving:
		c.remove(w)
		c.tasks.Go(w.kill)
	case time.Since(w.idle) >= time.Duration(c.limit.IdleTimeout) && c.serving() > c.limit.Min && len(c.waiting) == 0:
		c.remove(w)
		c.tasks.Go(w.stop)
	}
}

// mayHaveOneMore reports whether the pool has room for a successor. c.mu is held.
func (c *crew) mayHaveOneMore() bool {
	s := c.o.Pool.Stats()
	return s.Total.Busy+s.Total.Starting+s.Total.Stopping < s.Max
}

func (c *crew) serving() int {
	n := 0
	for _, w := range c.workers {
		if !w.leaving {
			n++
		}
	}
	return n
}

// watch looks at ages now and then.
func (c *crew) watch() {
	each := min(time.Second, time.Duration(c.limit.IdleTimeout)/2)
	if c.limit.MaxLifetime > 0 {
		each = min(each, time.Duration(c.limit.MaxLifetime)/2)
	}
	tick := time.NewTicker(max(each, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.mu.Lock()
			c.settle()
			c.mu.Unlock()
		case <-c.done:
			return
		}
	}
}
