package httpuv

import (
	"context"
	"errors"
	"time"
)

// abandon ends a request that nobody waits for any more: R is interrupted where
// that hits nothing else, and the worker gets nothing new until it has answered.
// One that does not answer is killed. Where others are at work on it too, R goes
// on with all of them.
func (c *crew) abandon(w *worker, a ask, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alone := w.requests == 1 && w.sockets == 0
	if w.gone || !alone {
		c.letGo(w, a)
		return
	}
	w.blocked = true
	c.tasks.Go(func() {
		free := c.interrupt(w, token)
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

// interrupt cancels a request, and reports whether w is ready for more. R may not
// have begun with it when the interrupt comes: so R is told to forget it, which it
// hears when it is free, and is interrupted again where it does not hear that.
func (c *crew) interrupt(w *worker, token string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Grace)
	defer cancel()
	unknown := 0
	for pause := 100 * time.Millisecond; ctx.Err() == nil; pause *= 2 {
		if !w.lease.Interrupt() {
			return false
		}
		once, stop := context.WithTimeout(ctx, pause)
		err := w.control(once, "forget", token)
		stop()
		switch {
		case err == nil:
			return true
		case isClosed(w.ended):
			return false
		case errors.Is(err, errNoControl):
			// The interrupt has struck the request that asks. Or files are served at
			// every path, without R, and nothing can be known.
			if unknown++; unknown == 3 {
				return true
			}
		}
	}
	return false
}
