package rpool

import (
	"slices"
	"time"
)

// memoryInterval is how often resident sizes are read, at most.
const memoryInterval = time.Second

// watch is the pool's clock: it polls memory, ages and idle times, and starts
// again what backs off. It ends when the pool closes.
func (p *Pool) watch() {
	check := time.Now().Add(p.o.CheckInterval)
	memory := time.Now().Add(min(memoryInterval, p.o.CheckInterval))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(p.nextWake(check, memory)))
		select {
		case <-p.ctx.Done():
			return
		case <-p.nudged:
			continue
		case <-timer.C:
		}
		t := time.Now()
		if !t.Before(memory) {
			memory = t.Add(min(memoryInterval, p.o.CheckInterval))
			p.pollMemory()
		}
		p.mu.Lock()
		if !t.Before(check) && !p.closed {
			check = t.Add(p.o.CheckInterval)
			for _, c := range slices.Clone(p.order) {
				p.age(c, t)
				p.shrink(c, t)
			}
		}
		p.schedule()
		p.mu.Unlock()
	}
}

// nextWake is the earliest of check, memory and the ends of all back-offs.
func (p *Pool) nextWake(check, memory time.Time) time.Time {
	next, now := check, time.Now()
	if memory.Before(next) {
		next = memory
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.order {
		if c.notBefore.After(now) && c.notBefore.Before(next) {
			next = c.notBefore
		}
	}
	return next
}

// nudge lets watch look at the times again.
func (p *Pool) nudge() {
	select {
	case p.nudged <- struct{}{}:
	default:
	}
}

// age marks the workers of c that have lived for MaxLifetime. p.mu is held.
func (p *Pool) age(c *crew, now time.Time) {
	if p.o.MaxLifetime == 0 {
		return
	}
	for _, m := range c.members {
		if m.doomed == "" && now.Sub(m.born) >= p.o.MaxLifetime {
			p.doom(m, "max_lifetime")
		}
	}
}

// pollMemory reads every worker's resident size and acts on those over a limit.
func (p *Pool) pollMemory() {
	p.mu.Lock()
	var members []*member
	for _, c := range p.order {
		members = append(members, c.members...)
	}
	p.mu.Unlock()

	for _, m := range members {
		rss := m.proc.RSS() // reads a file: not under the lock
		p.mu.Lock()
		if m.state == idle || m.state == leased {
			p.rss += rss - m.rss
			m.rss = rss
			if p.o.MaxMemory > 0 && rss > p.o.MaxMemory {
				p.overMemory(m)
			}
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.trim()
	p.mu.Unlock()
}

// overMemory replaces m, or stops it where it is at work: the machine would
// sooner be out of memory than the request done. R code gets until the next poll
// to answer the interrupt, and is killed then. p.mu is held.
func (p *Pool) overMemory(m *member) {
	switch {
	case m.state == idle && m.served == 0:
		// Its replacement would be as large, and so on for ever.
		if !m.crew.toldLarge {
			m.crew.toldLarge = true
			p.o.Log.Warn("the environment alone takes more than max_memory: raise it", "environment", m.crew.key, "rss", m.rss, "max_memory", p.o.MaxMemory)
		}
	case m.state == leased && m.interrupt(errOverMemory):
		if m.condemned {
			p.tasks.Go(m.proc.kill)
			return
		}
		m.condemned, m.spent = true, true
		p.doom(m, "max_memory")
		m.crew.counts.OutOfMemory++
		p.o.Log.Warn("R worker is over max_memory: stopping it", "environment", m.crew.key, "pid", m.proc.Pid(), "rss", m.rss, "max_memory", p.o.MaxMemory)
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

// stop ends m. p.mu is held.
func (p *Pool) stop(m *member) {
	m.expected = true
	if m.doomed != "" {
		m.crew.counts.Recycled++
	} else {
		m.crew.counts.Retired++
	}
	p.leave(m)
	close(m.quit)
}

// leave takes m out of its crew; its place in the budget stays taken until it
// has been reaped. A death that nobody wanted delays the next start. p.mu is held.
func (p *Pool) leave(m *member) {
	c := m.crew
	switch m.state {
	case idle:
		c.idle = slices.DeleteFunc(c.idle, func(o *member) bool { return o == m })
	case leased:
		p.unlease(m)
	default:
		return
	}
	m.state = leaving
	p.stopping++
	c.leaving++
	p.rss -= m.rss
	if m.doomed != "" {
		p.doomed--
	}
	c.members = slices.DeleteFunc(c.members, func(o *member) bool { return o == m })
	c.lastUp = time.Now()
	if !m.expected {
		c.counts.Died++
		p.delay(c, c.crashes.fail())
	}
}

// tend owns a worker: it notices its death, and ends it when the pool wants so.
// It waits for a request in progress, whose outcome tells whether the death was
// a crash.
func (p *Pool) tend(m *member) {
	select {
	case <-m.proc.Exited():
		m.turn <- struct{}{}
	case <-m.quit:
		m.turn <- struct{}{}
		m.proc.Stop()
		<-m.proc.Exited()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	<-m.turn
	p.leave(m)
	m.state = gone
	p.stopping--
	m.crew.leaving--
	p.used--
	if p.replacing == m {
		p.replacing = nil
	}
	m.from.workers--
	if m.from.ended {
		p.end(m.from)
	}
	if m.crew.retired && m.crew.empty() {
		p.disband(m.crew)
	}
	p.schedule()
}
