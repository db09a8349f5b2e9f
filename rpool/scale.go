package rpool

import (
	"time"
)

// schedule brings the pool from any state to one where nothing more can be done
// at once: idle workers are leased to who waits, and workers are started, or
// ended to make room, for those who still do. Whoever changes the state calls
// it. p.mu is held.
func (p *Pool) schedule() {
	if p.closed {
		return
	}
	short := false
	if p.waiting != [priorities]int{} {
		p.dispatch()
		short = p.grow()
	}
	for _, c := range p.order {
		p.settle(c)
		if !short || len(c.warmers) > 0 {
			p.fill(c)
		}
	}
	p.replace()
	if p.draining && p.leased == 0 && p.waiting == [priorities]int{} {
		select {
		case <-p.drained:
		default:
			close(p.drained)
		}
	}
}

// grow claims a worker for each waiter that no worker is on its way to, in the
// order in which they are to be served, until the budget is used up. Each step
// claims a slot or uses up a credit or a victim, so it takes no more steps than
// there are slots, however long the queue. It reports whether somebody is left
// without a claim, who then goes before Min and MinSpare. p.mu is held.
func (p *Pool) grow() (short bool) {
	credit := p.credit()
	if p.used >= p.o.Max && credit == 0 && !p.anyIdle() {
		return true
	}
	now := time.Now()
	for _, c := range p.order {
		c.cover = c.claims + len(c.idle)
	}
	lower := p.o.Max - p.o.Reserve - p.lower
	for pri := range p.waiting {
		for _, c := range p.order {
			c.cursor = c.lines[pri].head
			if now.Before(c.notBefore) && c.cover == 0 {
				c.cursor = nil
			}
		}
		for n := p.waiting[pri]; n > 0 && (Priority(pri) == Interactive || lower > 0); n-- {
			var c *crew
			for _, o := range p.order {
				if o.cursor != nil && (c == nil || o.cursor.ticket < c.cursor.ticket) {
					c = o
				}
			}
			if c == nil {
				break
			}
			c.cursor = c.cursor.next
			switch {
			case c.cover > 0:
				c.cover--
			case now.Before(c.notBefore):
				c.cursor = nil
				continue
			case p.room(c):
				p.claim(c)
			default:
				short = true
				if !p.makeRoom(c, Priority(pri), &credit) {
					return short
				}
			}
			if Priority(pri) != Interactive {
				lower--
			}
		}
	}
	return short
}

// target is how many workers c should have: Min, what Warm asked for, and
// MinSpare beyond the busy ones while its environment is in use. p.mu is held.
func (p *Pool) target(c *crew, now time.Time) int {
	want := 0
	for _, w := range c.warmers {
		want = max(want, w.n)
	}
	if !c.retired && !p.draining {
		want = max(want, c.min)
		if p.o.MinSpare > 0 && (c.leased > 0 || now.Sub(c.lastUsed) < p.o.IdleTimeout) {
			want = max(want, c.leased+c.waiting(p)+p.o.MinSpare)
		}
	}
	return min(want, p.o.Max)
}

// waiting is how many of those who wait for c may have a worker at all.
func (c *crew) waiting(p *Pool) int {
	now := c.lines[Interactive].length
	return now + max(0, min(c.queued()-now, p.o.Max-p.o.Reserve-p.lower))
}

// fill starts what c lacks to its target. For Min and MinSpare nobody else's
// worker is ended; for Warm it is. p.mu is held.
func (p *Pool) fill(c *crew) {
	if c.min == 0 && p.o.MinSpare == 0 && len(c.warmers) == 0 {
		return
	}
	now := time.Now()
	if now.Before(c.notBefore) {
		return
	}
	lacking := p.target(c, now) - len(c.members) - c.claims
	credit := p.credit()
	for ; lacking > 0; lacking-- {
		switch {
		case p.room(c):
			p.claim(c)
		case len(c.warmers) == 0 || !p.makeRoom(c, Interactive, &credit):
			lacking = 0
		}
	}
	if len(c.warmers) > 0 && c.origin == nil {
		p.work(c)
	}
}

// needed reports whether somebody still has a use for one of c's claims.
func (p *Pool) needed(c *crew, now time.Time) bool {
	if old := p.replacing; old != nil && old.crew == c && !old.replaced {
		return true
	}
	return len(c.members)+c.claims <= max(p.target(c, now), c.leased+c.waiting(p))
}

// shrink ends idle workers that have been so for IdleTimeout. p.mu is held.
func (p *Pool) shrink(c *crew, now time.Time) {
	extra := len(c.members) - p.target(c, now)
	for extra > 0 && len(c.idle) > 0 && (c.retired || now.Sub(c.idle[0].since) >= p.o.IdleTimeout) {
		p.stop(c.idle[0])
		extra--
	}
	if c.empty() && (c.retired || now.Sub(c.lastUsed) >= p.o.TemplateIdle && now.Sub(c.lastUp) >= p.o.TemplateIdle) {
		p.disband(c)
	}
}
