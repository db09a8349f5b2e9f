package rpool

import (
	"context"
	"errors"
	"time"
)

var errReleased = errors.New("rpool: lease was released")

// Lease is one worker held by one caller. Its methods are safe for concurrent
// use, but requests run one at a time.
type Lease struct {
	pool     *Pool
	m        *member
	released bool // guarded by m.mu
}

// Pid is the worker's process.
func (l *Lease) Pid() int { return l.m.proc.Pid() }

// Do runs one request on the leased worker. Errors are a *ConditionError, a
// *TimeoutError, a *DiedError, the cause of ctx, or ErrClosed when the pool was
// closed meanwhile. After any of them but *DiedError and ErrClosed the lease
// can be used again; so it can when what died was the process of an isolated
// request.
func (l *Lease) Do(ctx context.Context, r *Request) (*Reply, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return l.pool.run(ctx, l.m, l, r)
}

// Interrupt sends SIGINT to the worker while a request of this lease runs, and
// leaves the request going; it reports whether one ran. It is for requests that
// are loops of their own and trap interrupts, as a server's is:
//
//	suspendInterrupts(repeat {
//	  tryCatch(allowInterrupts(later::run_now(Inf)), interrupt = function(i) NULL)
//	  if (file.exists(ending)) break
//	})
//
// where ending is the Request's. Code that traps none ends with a
// *ConditionError of class interrupt, as if it had been cancelled. No other
// request is hit: the lease's next one waits until the worker has answered a ping.
// What such a loop serves is its caller's to tell apart: a SIGINT that comes when
// its work is done strikes what it does next, so let it answer something of
// yours before it is given more.
func (l *Lease) Interrupt() bool {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	return !l.released && l.m.cancel != nil && l.m.proc.Interrupt()
}

// Release gives the worker back; one that is dead or whose state is unknown is
// replaced. A request that still runs is cancelled. Further calls do nothing.
func (l *Lease) Release() {
	l.m.mu.Lock()
	again := l.released
	l.released = true
	l.m.mu.Unlock()
	if again {
		return
	}
	if l.m.interrupt(errReleased) {
		l.pool.mu.Lock()
		l.m.spent = true
		l.pool.mu.Unlock()
	}
	l.pool.release(l.m)
}

// take waits for a worker of env and leases it to the caller.
func (p *Pool) take(ctx context.Context, env *Environment, pri Priority) (*member, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, err := p.enter(env)
		if err != nil {
			return nil, err
		}
		var m *member
		if len(c.idle) > 0 && p.mayLease(pri) {
			// Nobody who could have this worker waits, or it would not be idle.
			if m = p.pop(c); m != nil {
				p.lease(m, pri)
				p.waits[pri].observe(0)
			}
		}
		if m != nil {
			p.mu.Unlock()
		} else {
			w, err := p.enqueue(c, pri)
			if err == nil {
				p.schedule()
			}
			p.mu.Unlock()
			if err != nil {
				return nil, err
			}
			if m, err = p.await(ctx, w); err != nil {
				return nil, err
			}
		}
		if m.dead() { // it ended between being found idle and now
			p.release(m)
			continue
		}
		p.renice(m, pri)
		return m, nil
	}
}

// pop takes the idle worker of c that was used last: its caches are warm, and
// the others may reach their idle timeout. It is nil where all turn out dead.
// p.mu is held.
func (p *Pool) pop(c *crew) *member {
	for len(c.idle) > 0 {
		m := c.idle[len(c.idle)-1]
		if !m.dead() {
			return m
		}
		p.leave(m)
	}
	return nil
}

// lease hands m, which is the last of its crew's idle workers, to somebody.
// p.mu is held.
func (p *Pool) lease(m *member, pri Priority) {
	c := m.crew
	c.idle = c.idle[:len(c.idle)-1]
	m.state, m.pri, m.since = leased, pri, time.Now()
	c.leased++
	p.leased++
	if pri == Interactive {
		p.interactive.Add(1)
	} else {
		p.lower++
	}
	if p.o.MinSpare > 0 {
		p.fill(c)
	}
	if n := m.maxRequests; n > 0 && m.served+1 >= n {
		// This may be its last lease: let the replacement come up meanwhile.
		p.doom(m, "max_requests")
		p.replace()
	}
}

// unlease takes m from its holder. p.mu is held.
func (p *Pool) unlease(m *member) {
	m.crew.leased--
	p.leased--
	if m.pri == Interactive {
		p.answered.Store(time.Now().UnixNano())
		p.interactive.Add(-1)
	} else {
		p.lower--
	}
}

// release takes m back from its holder.
func (p *Pool) release(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takeBack(m)
}

// takeBack is release with p.mu held.
func (p *Pool) takeBack(m *member) {
	now := time.Now()
	if m.state != leased {
		return // it died meanwhile, or the pool is closing
	}
	m.crew.lastUsed = now
	switch {
	case m.dead():
		p.leave(m)
	case m.spent:
		p.stop(m)
	case p.giveWay(m, now), m.crew.retired && m.crew.waiting(p) == 0:
		p.stop(m)
	default:
		p.unlease(m)
		m.state, m.since = idle, now
		m.crew.idle = append(m.crew.idle, m)
	}
	p.schedule()
}
