package rpool

import (
	"context"
	"slices"
	"time"
)

// warmer is one call of Warm.
type warmer struct {
	n    int
	done chan error // of capacity 1
}

// settle answers the calls of Warm that have what they asked for. p.mu is held.
func (p *Pool) settle(c *crew) {
	if len(c.warmers) == 0 || c.origin == nil {
		return
	}
	c.warmers = slices.DeleteFunc(c.warmers, func(w *warmer) bool {
		if len(c.members) < w.n {
			return false
		}
		w.done <- nil
		return true
	})
}

// Warm brings up the template of env and n of its workers (at most Max), and
// returns when they are ready. A *StartError says why they cannot be. Workers
// end again after IdleTimeout without work. In a pool whose workers are all busy
// with other environments the first one takes its turn among the requests.
func (p *Pool) Warm(ctx context.Context, env *Environment, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c, err := p.enter(env)
	if err != nil {
		return err
	}
	w := &warmer{n: min(n, p.o.Max), done: make(chan error, 1)}
	c.warmers = append(c.warmers, w)
	c.lastUsed = time.Now()
	var place *waiter
	if w.n > 0 && len(c.members)+c.claims == 0 && p.used >= p.o.Max {
		place = p.stand(c, Interactive)
	}
	p.schedule()
	p.mu.Unlock()
	if place != nil {
		defer p.stepOut(place)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		c.warmers = slices.DeleteFunc(c.warmers, func(o *warmer) bool { return o == w })
		return context.Cause(ctx)
	}
}

// stepOut ends the wait of w, and gives back what it was granted.
func (p *Pool) stepOut(w *waiter) {
	p.mu.Lock()
	if w.queued {
		p.abandon(w)
		p.schedule()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	if g := <-w.got; g.m != nil {
		p.release(g.m)
	}
}

// About is what the Handler of env says of itself, in its attribute "about"; ""
// where it says nothing, or where env is not up: call Warm before.
func (p *Pool) About(env *Environment) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.byEnv[env]; c != nil && c.origin != nil {
		return c.origin.t.About()
	}
	return ""
}
