package rpool

import (
	"slices"
	"time"
)

// turn is how long a worker serves its own environment before it makes room for
// an earlier request of the same priority for another one. Environments that
// share a full pool then take turns instead of forking for each request.
const turn = time.Second

// schedule brings the pool from any state to one where nothing more can be done
// at once: idle workers are leased to who waits, and workers are started, or
// ended to make room, for those who still do. Whoever changes the state calls
// it. p.mu is held.
func (p *Pool) schedule() {
	if p.closed {
		return
	}
	short := false
	if p.waiting != [2]int{} {
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
	if p.draining && p.leased == 0 && p.waiting == [2]int{} {
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
	for pri := range p.waiting {
		limit := p.waiting[pri]
		if Priority(pri) == Bulk {
			limit = min(limit, p.o.Max-p.o.Reserve-p.bulk)
		}
		for _, c := range p.order {
			c.cursor = c.lines[pri].head
			if now.Before(c.notBefore) && c.cover == 0 {
				c.cursor = nil
			}
		}
		for ; limit > 0; limit-- {
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
			case p.room(c):
				p.claim(c)
			default:
				short = true
				if !p.makeRoom(c, &credit) {
					return short
				}
			}
		}
	}
	return short
}

// credit is how many slots of the budget come free by what is ending already.
func (p *Pool) credit() int {
	return max(0, min(p.stopping, p.o.Max-(p.used-p.stopping)))
}

func (p *Pool) anyIdle() bool {
	return slices.ContainsFunc(p.order, func(c *crew) bool { return len(c.idle) > 0 })
}

// makeRoom counts on a slot that is coming free, or ends an idle worker of
// another environment. p.mu is held.
func (p *Pool) makeRoom(c *crew, credit *int) bool {
	if *credit > 0 {
		*credit--
		return true
	}
	if m := p.victim(c); m != nil {
		p.stop(m)
		return true
	}
	return false
}

// room reports whether the budget has a worker left for c. p.mu is held.
func (p *Pool) room(c *crew) bool {
	if p.used >= p.o.Max {
		return false
	}
	if p.o.MaxTotalMemory == 0 || p.used == 0 {
		return true
	}
	// A worker that is not up yet is taken for as large as its mates.
	total := p.rss + c.mean()
	for _, o := range p.order {
		total += int64(o.claims) * o.mean()
	}
	return total <= p.o.MaxTotalMemory
}

// mean is the resident size of c's workers, or of the last ones; 0 where it never
// had any.
func (c *crew) mean() int64 {
	if n := int64(len(c.members)); n > 0 {
		c.size = 0
		for _, m := range c.members {
			c.size += m.rss / n
		}
	}
	return c.size
}

// victim is the idle worker that has to go for c: of another environment, of
// one with more than Min workers if possible, the longest idle. p.mu is held.
func (p *Pool) victim(c *crew) *member {
	var best *member
	spare := false
	for _, o := range p.order {
		if o == c || len(o.idle) == 0 {
			continue
		}
		m, extra := o.idle[0], len(o.members) > p.o.Min
		if best == nil || extra && !spare || extra == spare && m.since.Before(best.since) {
			best, spare = m, extra
		}
	}
	return best
}

// giveWay reports whether m, whose request is done and whose environment has
// more waiting, is to make room for somebody of another environment who goes
// before them. Without it an environment that never runs idle would starve the
// others. p.mu is held.
func (p *Pool) giveWay(m *member, now time.Time) bool {
	if p.waiting == [2]int{} || len(p.order) < 2 || p.credit() > 0 {
		return false
	}
	c, bulk := m.crew, p.bulk
	if m.pri == Bulk {
		bulk--
	}
	mayBulk := bulk < p.o.Max-p.o.Reserve
	mine := c.lines[Interactive].head
	if mine == nil && mayBulk {
		mine = c.lines[Bulk].head
	}
	if mine == nil {
		return false // it becomes idle, and goes if somebody needs its place
	}
	for _, o := range p.order {
		if o == c || now.Before(o.notBefore) || p.room(o) {
			continue
		}
		w := o.uncovered()
		if w == nil || !ahead(w, mine) || w.pri == Bulk && !mayBulk {
			continue
		}
		if w.pri < mine.pri || now.Sub(m.born) >= turn {
			return true
		}
	}
	return false
}

// uncovered is the first who waits for c and whom no worker is on its way to.
func (c *crew) uncovered() *waiter {
	cover := c.claims + len(c.idle)
	for _, l := range c.lines {
		if cover >= l.length {
			cover -= l.length
			continue
		}
		w := l.head
		for ; cover > 0; cover-- {
			w = w.next
		}
		return w
	}
	return nil
}

// target is how many workers c should have: Min, what Warm asked for, and
// MinSpare beyond the busy ones while its environment is in use. p.mu is held.
func (p *Pool) target(c *crew, now time.Time) int {
	want := 0
	for _, w := range c.warmers {
		want = max(want, w.n)
	}
	if !c.retired && !p.draining {
		want = max(want, p.o.Min)
		if p.o.MinSpare > 0 && now.Sub(c.lastUsed) < p.o.IdleTimeout {
			want = max(want, c.leased+c.waiting(p)+p.o.MinSpare)
		}
	}
	return min(want, p.o.Max)
}

// waiting is how many of those who wait for c may have a worker at all.
func (c *crew) waiting(p *Pool) int {
	return c.lines[Interactive].length + max(0, min(c.lines[Bulk].length, p.o.Max-p.o.Reserve-p.bulk))
}

// fill starts what c lacks to its target. For Min and MinSpare nobody else's
// worker is ended; for Warm it is. p.mu is held.
func (p *Pool) fill(c *crew) {
	if p.o.Min == 0 && p.o.MinSpare == 0 && len(c.warmers) == 0 {
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
		case len(c.warmers) == 0 || !p.makeRoom(c, &credit):
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

// trim ends the longest idle workers of the pool while all together are over
// MaxTotalMemory. p.mu is held.
func (p *Pool) trim() {
	for p.o.MaxTotalMemory > 0 && p.rss > p.o.MaxTotalMemory && p.used-p.stopping > 1 {
		m := p.victim(nil)
		if m == nil {
			return
		}
		p.stop(m)
	}
}
