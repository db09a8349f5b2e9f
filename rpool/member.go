package rpool

import (
	"context"
	"slices"
	"sync"
	"time"
)

type memberState uint8

const (
	idle    memberState = iota // in crew.idle
	leased                     // somebody holds it
	leaving                    // not reaped yet, still a part of the budget
	gone                       // reaped
)

// member is one worker of a crew.
type member struct {
	proc process
	crew *crew
	from *origin
	turn chan struct{} // of capacity 1: filled by whoever talks to proc
	quit chan struct{} // closed when the pool wants it to end

	// Guarded by Pool.mu.
	state    memberState
	pri      Priority // of the lease
	served   int      // requests
	born     time.Time
	since    time.Time // idle or leased since
	rss      int64     // when last polled
	doomed   string    // why it is to be replaced: a name of an option; "" is not
	spent    bool      // must not be leased again
	replaced bool      // its replacement is up
	expected bool      // its end is our doing, and no crash

	condemned bool // stopped at work for MaxMemory

	maxRequests int           // 0 is no limit
	maxLifetime time.Duration // 0 is no limit

	nice int // belongs to whoever holds the lease

	mu     sync.Mutex // guards what follows
	cancel context.CancelCauseFunc
	limits limits // of the request under way
	reason error  // why it was interrupted; later requests end with it too
}

// limits are those of one request, beside the pool's; 0 is none.
type limits struct {
	memory int64
	cpu    time.Duration // that the process has taken by then
}

// allowed is what m may have now, where the pool allows most bytes.
func (m *member) allowed(most int64) limits {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.limits
	if l.memory == 0 || most > 0 && most < l.memory {
		l.memory = most
	}
	return l
}

// interrupt ends the request that runs on m with reason, and reports whether one
// ran. Later requests on the same lease end with it too.
func (m *member) interrupt(reason error) (ran bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cancel == nil {
		return false
	}
	m.bar(reason)
	m.cancel(reason)
	return true
}

// shut is interrupt, and also ends the next request where none runs.
func (m *member) shut(reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bar(reason)
	if m.cancel != nil {
		m.cancel(reason)
	}
}

func (m *member) bar(reason error) {
	if m.reason == nil {
		m.reason = reason
	}
}

// dead reports whether m's process has been reaped.
func (m *member) dead() bool {
	select {
	case <-m.proc.Exited():
		return true
	default:
		return false
	}
}

// stop ends m. p.mu is held.
func (p *Pool) stop(m *member) {
	m.expected = true
	if m.doomed != "" {
		m.crew.counts.Recycled++
		if p.recycled == nil {
			p.recycled = make(map[string]int64)
		}
		p.recycled[m.doomed]++
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
		p.died(m)
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
