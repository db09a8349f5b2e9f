package rpool

import (
	"time"
)

// turn is how long a worker serves its own environment before it makes room for
// an earlier request of the same priority for another one. Environments that
// share a full pool then take turns instead of forking for each request.
const turn = time.Second

// giveWay reports whether m, whose request is done and whose environment has
// more waiting, is to make room for somebody of another environment who goes
// before them. Without it an environment that never runs idle would starve the
// others. p.mu is held.
func (p *Pool) giveWay(m *member, now time.Time) bool {
	if p.waiting == [priorities]int{} || len(p.order) < 2 || p.credit() > 0 {
		return false
	}
	c, lower := m.crew, p.lower
	if m.pri != Interactive {
		lower--
	}
	mayLower := lower < p.o.Max-p.o.Reserve
	mine := c.lines[Interactive].head
	for pri := Queued; mine == nil && mayLower && pri < priorities; pri++ {
		mine = c.lines[pri].head
	}
	if mine == nil {
		return false // it becomes idle, and goes if somebody needs its place
	}
	for _, o := range p.order {
		if o == c || now.Before(o.notBefore) || p.room(o) {
			continue
		}
		w := o.uncovered()
		if w == nil || !ahead(w, mine) || w.pri != Interactive && !mayLower {
			continue
		}
		// A minimum gives way to an environment that has no worker, or to a higher
		// priority.
		scarce := len(c.members) <= c.min && len(o.members) > 0
		if w.pri < mine.pri || now.Sub(m.born) >= turn && !scarce {
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
