package httpuv

import (
	"context"
	"errors"
)

// abandon ends a request that nobody waits for any more: R is interrupted where
// that hits nothing else, and the worker gets nothing new until it has answered.
// One that does not answer is killed. Where others are at work on it too, R goes
// on with all of them.
func (c *crew) abandon(w *worker, a ask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alone := w.requests == 1 && w.sockets == 0
	if w.gone || !alone {
		c.letGo(w, a)
		return
	}
	w.blocked = true
	c.tasks.Go(func() {
		free := c.interrupt(w)
		c.mu.Lock()
		defer c.mu.Unlock()
		w.blocked = false
		if !free && !w.gone {
			c.o.Log.Warn("R does not let go of a request: its worker is killed", "pid", w.lease.Pid())
			c.remove(w)
			c.tasks.Go(w.kill)
		}
		c.letGo(w, a)
	})
}

// interrupt cancels what w does, and reports whether it is ready for more.
func (c *crew) interrupt(w *worker) bool {
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Grace)
	defer cancel()
	if !w.lease.Interrupt() {
		return false
	}
	for range 3 {
		err := w.control(ctx, "ping")
		if err == nil {
			return true
		}
		// The interrupt has struck the request that asks. Or files are served at
		// every path, without R, and nothing can be known.
		if !errors.Is(err, errNoControl) {
			return false
		}
	}
	return true
}
