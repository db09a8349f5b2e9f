package httpuv

import (
	"context"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// drain ends the crew.
func (c *crew) drain(ctx context.Context) error {
	c.mu.Lock()
	if c.draining {
		c.mu.Unlock()
		return nil
	}
	c.draining = true
	c.refuse(fault.ErrDraining)
	empty := make(chan struct{})
	c.empty = empty
	c.settle()
	c.mu.Unlock()

	c.replaced()
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.close()
	return err
}

// replaced ends all websockets when those of old code have had their time.
func (c *crew) replaced() {
	after := time.Duration(c.o.Config.Websocket.Drain)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending || after <= 0 || c.closed() {
		return
	}
	c.ending = true
	c.tasks.Go(func() {
		t := time.NewTimer(after)
		defer t.Stop()
		select {
		case <-t.C:
			c.hangUp()
		case <-c.done:
		}
	})
}

// hangUp ends all websockets.
func (c *crew) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isClosed(c.hung) {
		close(c.hung)
	}
}

func (c *crew) closed() bool { return isClosed(c.done) }

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// close ends everything that is under way and all workers, and waits for them.
func (c *crew) close() {
	c.hangUp()
	c.mu.Lock()
	c.draining = true
	c.refuse(fault.ErrDraining)
	workers := c.workers
	for _, w := range workers {
		w.gone = true
	}
	c.workers = nil
	close(c.done)
	c.mu.Unlock()
	for _, w := range workers {
		c.tasks.Go(w.stop)
	}
	c.tasks.Wait()
}
