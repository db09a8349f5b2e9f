package rpool

import (
	"context"
	"fmt"
)

// Close ends the pool: who waits gets ErrClosed, requests that run are stopped
// by the ladder of Options.Grace and end with ErrClosed, and all workers, then
// their templates, end in parallel. It returns when every process has been
// reaped. Leases need not be released before or after. Further calls wait for
// the first. The error is a panic of the pool's own goroutines, if there was one.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.ended
		return p.closeErr
	}
	p.closed, p.draining = true, true
	for _, c := range p.order {
		for i := range c.lines {
			for c.lines[i].head != nil {
				p.dequeue(c.lines[i].head, grant{err: ErrClosed})
			}
		}
		for _, w := range c.warmers {
			w.done <- ErrClosed
		}
		c.warmers = nil
		for len(c.members) > 0 {
			m := c.members[0]
			m.shut(ErrClosed)
			p.stop(m)
		}
		p.end(c.origin)
		c.origin = nil
	}
	p.mu.Unlock()
	p.cancel(ErrClosed)
	if r := p.tasks.WaitAndRecover(); r != nil {
		p.closeErr = fmt.Errorf("rpool: close: %w", r.AsError())
	}
	close(p.ended)
	return p.closeErr
}

// Drain refuses new requests with ErrClosed, waits until those that run or wait
// already are done and every lease has come back, and closes the pool. When ctx
// ends first it closes the pool at once and returns the cause.
func (p *Pool) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	p.schedule()
	p.mu.Unlock()
	var cut error
	select {
	case <-p.drained:
	case <-p.ended:
	case <-ctx.Done():
		cut = context.Cause(ctx)
	}
	if err := p.Close(); err != nil {
		return err
	}
	return cut
}

// Retire ends the environment: its idle workers now, the others when they come
// back and nobody waits for them, and at last its template. A later request for
// it loads it afresh. It is how a reload lets go of what it has replaced.
func (p *Pool) Retire(env *Environment) {
	p.mu.Lock()
	c := p.byEnv[env]
	p.mu.Unlock()
	key := ""
	if c == nil {
		key = env.Fingerprint()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c == nil {
		c = p.crews[key]
	}
	if c == nil || c.retired || p.closed {
		return
	}
	c.retired = true
	p.forget(c)
	for len(c.idle) > 0 {
		p.stop(c.idle[0])
	}
	if c.empty() {
		p.disband(c)
	}
	p.schedule()
}
