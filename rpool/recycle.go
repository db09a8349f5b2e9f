package rpool

import (
	"math"
	"slices"
	"time"
)

// limit gives m its share of MaxRequests and MaxLifetime.
func (p *Pool) limit(m *member) {
	v := p.vary()
	m.maxRequests = p.o.MaxRequests
	if m.maxRequests >= 10 {
		m.maxRequests += int(math.Round(v * float64(m.maxRequests)))
	}
	m.maxLifetime = p.o.MaxLifetime + time.Duration(v*float64(p.o.MaxLifetime))
}

// age marks the workers of c that have lived long enough. p.mu is held.
func (p *Pool) age(c *crew, now time.Time) {
	if p.o.MaxLifetime == 0 {
		return
	}
	for _, m := range c.members {
		if m.doomed == "" && now.Sub(m.born) >= m.maxLifetime {
			p.doom(m, "max_lifetime")
		}
	}
}

// overMemory replaces m, or stops it where it is at work: the machine would
// sooner be out of memory than the request done. R code gets until the next poll
// to answer the interrupt, and is killed then. p.mu is held.
func (p *Pool) overMemory(m *member, limit int64) {
	switch {
	case m.state == idle && m.served == 0:
		// Its replacement would be as large, and so on for ever.
		if !m.crew.toldLarge {
			m.crew.toldLarge = true
			p.o.Log.Warn("the packages and files alone take more memory than a worker may have: raise its limit", "environment", m.crew.key, "rss", m.rss, "limit", limit)
		}
	case m.state == leased && m.interrupt(errOverMemory):
		if m.condemned {
			p.tasks.Go(m.proc.kill)
			return
		}
		m.condemned, m.spent = true, true
		p.doom(m, "max_memory")
		m.crew.counts.OutOfMemory++
		p.o.Log.Warn("R worker is over its memory limit: stopping it", "environment", m.crew.key, "pid", m.proc.Pid(), "rss", m.rss, "limit", limit)
	default:
		p.doom(m, "max_memory")
	}
}

// doom marks m to be replaced. p.mu is held.
func (p *Pool) doom(m *member, why string) {
	if m.doomed == "" && (m.state == idle || m.state == leased) {
		m.doomed = why
		p.doomed++
	}
}

// replace starts the replacement of one worker that is to go, if none is being
// replaced already. It may take the pool one worker over Max for the time being,
// though never more than Max are leased. An idle worker goes first: a busy one
// may hold the place for long. p.mu is held.
func (p *Pool) replace() {
	if p.doomed == 0 || p.replacing != nil || p.draining || p.used > p.o.Max {
		return
	}
	var old *member
	for _, c := range p.order {
		if c.retired || time.Now().Before(c.notBefore) {
			continue
		}
		for _, m := range c.members {
			if m.doomed != "" && !m.replaced && (old == nil || old.state == leased && m.state == idle) {
				old = m
			}
		}
	}
	if old != nil {
		p.replacing = old
		p.claim(old.crew)
	}
}

// relieve puts fresh in the place of old, which ends now or when it is released.
// p.mu is held.
func (p *Pool) relieve(old, fresh *member) {
	old.replaced = true
	if old.state != idle {
		old.spent = true
		return
	}
	// It inherits the idle time, or an unused worker with a short MaxLifetime
	// would never reach IdleTimeout.
	fresh.since = old.since
	slices.SortStableFunc(fresh.crew.idle, func(a, b *member) int { return a.since.Compare(b.since) })
	p.stop(old)
}
