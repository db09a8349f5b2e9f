package rpool

import (
	"slices"
	"time"
)

// crew is one environment in use: its template and its workers. Pool.mu guards
// its fields.
type crew struct {
	key      string
	env      *Environment // as it was at first use
	pointers []*Environment
	origin   *origin  // nil while no template is up
	hashes   []string // of the files that the template was loaded from; nil before the first launch
	retired  bool     // keep nothing that nobody waits for
	min      int      // workers kept up

	members []*member // up: idle or leased
	idle    []*member // those that may be leased, the longest idle first
	leased  int
	leaving int              // not reaped yet
	lines   [priorities]line // who waits, by Priority
	warmers []*warmer

	claims    int // slots of the budget promised to workers that are not up yet
	inflight  int // of those, the ones being started now
	starters  int // goroutines that work the claims off
	launching bool

	launches  backoff
	crashes   backoff
	notBefore time.Time // no start before it
	failure   error     // of the last launch or start; nil once one succeeded
	killed    int       // how many of them in a row were killed from outside

	size      int64     // see mean
	lastUsed  time.Time // by a request
	lastUp    time.Time // a worker left it then
	counts    Counts
	toldLarge bool // MaxMemory below what the environment alone takes has been logged

	cursor *waiter // scratch of grow
	cover  int     // scratch of grow
}

// enter finds the crew of env, making one for an environment that was not in
// use, and returns it with p.mu held. It computes the fingerprint, which reads
// files, without the lock.
func (p *Pool) enter(env *Environment) (*crew, error) {
	p.mu.Lock()
	for !p.draining {
		if c := p.byEnv[env]; c != nil {
			return c, nil
		}
		p.mu.Unlock()
		p.introduce(env)
		p.mu.Lock()
	}
	p.mu.Unlock()
	return nil, ErrClosed
}

// introduce makes env known to the pool.
func (p *Pool) introduce(env *Environment) {
	copied := *env
	key := copied.Fingerprint()

	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.crews[key]
	if c == nil {
		c = &crew{
			key: key, env: &copied, lastUsed: time.Now(),
			launches: backoff{base: launchBackoff, limit: launchBackoffMax},
			crashes:  backoff{base: crashBackoff, limit: crashBackoffMax},
		}
		p.crews[key] = c
		p.order = append(p.order, c)
	}
	c.min = min(max(c.min, p.o.Min, env.Min), p.o.Max)
	// A caller that makes a new Environment for each request must not fill the
	// table: the oldest pointer goes, and would only be hashed again.
	if len(c.pointers) >= maxPointers {
		delete(p.byEnv, c.pointers[0])
		c.pointers = slices.Delete(c.pointers, 0, 1)
	}
	if p.byEnv[env] == nil {
		c.pointers = append(c.pointers, env)
		p.byEnv[env] = c
	}
}

// maxPointers is how many Environment pointers are remembered for one crew.
const maxPointers = 64

// forget drops what leads to c, so that a later use of its environment starts
// afresh. p.mu is held.
func (p *Pool) forget(c *crew) {
	for _, env := range c.pointers {
		delete(p.byEnv, env)
	}
	c.pointers = nil
	if p.crews[c.key] == c {
		delete(p.crews, c.key)
	}
}

// disband drops a crew of which nothing is left but perhaps its template.
// p.mu is held.
func (p *Pool) disband(c *crew) {
	p.end(c.origin)
	c.origin = nil
	p.forget(c)
	p.order = slices.DeleteFunc(p.order, func(o *crew) bool { return o == c })
	p.past.add(&c.counts)
}

// queued is how many wait for c. p.mu is held.
func (c *crew) queued() (n int) {
	for i := range c.lines {
		n += c.lines[i].length
	}
	return n
}

// empty reports whether c has no worker, none on its way, and nobody who waits.
// p.mu is held.
func (c *crew) empty() bool {
	return len(c.members) == 0 && c.leaving == 0 && c.claims == 0 && c.starters == 0 && len(c.warmers) == 0 &&
		c.queued() == 0
}
