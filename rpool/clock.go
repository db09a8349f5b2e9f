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
		allowed := m.allowed(p.o.MaxMemory)
		overCPU := allowed.cpu > 0 && m.proc.CPU() > allowed.cpu
		p.mu.Lock()
		if rss == 0 { // it has gone, and what it had tells why
			rss = m.rss
		}
		if m.state == idle || m.state == leased {
			p.rss += rss - m.rss
			m.rss = rss
			if allowed.memory > 0 && rss > allowed.memory {
				p.overMemory(m, allowed.memory)
			}
			if overCPU && m.state == leased && m.interrupt(errOverCPU) {
				m.spent = true
			}
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.trim()
	p.mu.Unlock()
}
