package rpool

import (
	"slices"
	"time"
)

// credit is how many slots of the budget come free by what is ending already.
func (p *Pool) credit() int {
	return max(0, min(p.stopping, p.o.Max-(p.used-p.stopping)))
}

func (p *Pool) anyIdle() bool {
	return slices.ContainsFunc(p.order, func(c *crew) bool { return len(c.idle) > 0 })
}

// makeRoom counts on a slot that is coming free, or ends an idle worker of
// another environment, for somebody of that priority. p.mu is held.
func (p *Pool) makeRoom(c *crew, pri Priority, credit *int) bool {
	if *credit > 0 {
		*credit--
		return true
	}
	if m := p.victim(c, pri); m != nil {
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

// victim is the idle worker that has to go for c: the longest idle of another
// environment that has more than its minimum. Where c has no worker at all and
// there is none such, a minimum must give way, or c would wait for ever. A nil c
// is the machine's memory. p.mu is held.
func (p *Pool) victim(c *crew, pri Priority) *member {
	needy := c == nil || len(c.members)+c.claims == 0
	now := time.Now()
	var best *member
	spare := false
	for _, o := range p.order {
		if o == c || len(o.idle) == 0 {
			continue
		}
		m, extra := o.idle[0], len(o.members) > o.min
		if !extra && !needy || pri != Interactive && m.resting(now) && !c.impatient(now) {
			continue
		}
		if best == nil || extra && !spare || extra == spare && m.since.Before(best.since) {
			best, spare = m, extra
		}
	}
	return best
}

// patience is how long bulk and queued requests leave workers that others have just used.
const patience = 10 * turn

// impatient reports whether requests for c of a lower priority than Interactive have
// waited long enough, and whether c is no crew at all.
func (c *crew) impatient(now time.Time) bool {
	if c == nil {
		return true
	}
	for _, l := range c.lines[Queued:] {
		if l.head != nil && now.Sub(l.head.since) >= patience {
			return true
		}
	}
	return false
}

// resting reports whether m has served somebody who waited for the answer just
// now. Lower priorities leave such a worker for a moment: the next one who waits, of a row of
// them, would have to wait for a fork.
func (m *member) resting(now time.Time) bool {
	return m.served > 0 && m.pri == Interactive && now.Sub(m.since) < turn
}

// trim ends the longest idle workers of the pool while all together are over
// MaxTotalMemory. p.mu is held.
func (p *Pool) trim() {
	for p.o.MaxTotalMemory > 0 && p.rss > p.o.MaxTotalMemory && p.used-p.stopping > 1 {
		m := p.victim(nil, Bulk)
		if m == nil {
			return
		}
		p.stop(m)
	}
}
