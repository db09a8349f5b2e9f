package rpool

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/sourcegraph/conc/panics"
)

// How long starts that fail are spaced out, at first and at most. A launch costs
// a second of CPU, a fork some milliseconds.
const (
	launchBackoff    = 500 * time.Millisecond
	launchBackoffMax = 30 * time.Second
	crashBackoff     = 100 * time.Millisecond
	crashBackoffMax  = 5 * time.Second
)

// maxKilled is how many starts in a row may be killed from outside before those who
// wait for one are told.
const maxKilled = 3

// claim takes a slot of the budget for a worker of c and sees to its start.
// p.mu is held.
func (p *Pool) claim(c *crew) {
	c.claims++
	p.used++
	p.work(c)
}

// work sees to it that somebody works c's claims off: one goroutine while the
// template comes up or forks, for forks are serial, and several where each
// worker is a fresh R. p.mu is held.
func (p *Pool) work(c *crew) {
	limit := 1
	if c.origin != nil {
		if forks, _ := c.origin.t.Forks(); !forks {
			limit = max(runtime.NumCPU(), 2)
		}
	}
	if c.starters == 0 || c.starters < min(limit, c.claims) {
		c.starters++
		p.tasks.Go(func() {
			for p.start(c) {
			}
		})
	}
}

// start works one claim off: it launches the template if there is none, or
// starts a worker. It returns false when nothing is left to do.
func (p *Pool) start(c *crew) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := c.origin
	switch open := c.claims - c.inflight; {
	case p.closed || time.Now().Before(c.notBefore) || open == 0 && (o != nil || len(c.warmers) == 0):
		p.unclaim(c, open)
		c.starters--
		return false
	case open > 0 && !p.needed(c, time.Now()):
		p.unclaim(c, 1)
		p.schedule() // somebody else may use the slot
		return true
	}
	if o == nil {
		if c.launching { // by another of several, when their template died
			c.starters--
			return false
		}
		p.raise(c)
		return true
	}

	c.inflight++
	o.workers++
	p.mu.Unlock()
	proc, err := guard(func() (process, error) { return o.t.Start(p.ctx) })
	var rss int64
	if err == nil {
		rss = proc.RSS()
	}
	p.mu.Lock()
	c.inflight--
	c.claims--
	if err != nil {
		p.used--
		o.workers--
		c.counts.StartFailures++
		p.startFailed(c, err, c.crashes.fail())
	} else {
		p.join(c, o, proc, rss)
	}
	if o.ended {
		p.end(o)
	}
	p.schedule()
	return true
}

// raise launches c's template. Everyone who waits for the environment waits for
// this one launch, and shares its error. p.mu is held, and let go meanwhile.
func (p *Pool) raise(c *crew) {
	c.launching = true
	p.mu.Unlock()
	now := c.env.contents()
	p.mu.Lock()
	err := p.fresh(c, now)
	var t template
	if err == nil {
		p.mu.Unlock()
		t, err = guard(func() (template, error) { return p.launch(p.ctx, c.env, &p.o) })
		p.mu.Lock()
	}
	c.launching = false
	if err != nil {
		c.counts.LaunchFailures++
		p.startFailed(c, err, c.launches.fail())
		p.schedule()
		return
	}
	c.launches.succeed()
	c.failure, c.killed, c.hashes = nil, 0, now
	o := &origin{t: t, crew: c, done: make(chan struct{})}
	c.origin = o
	c.counts.Launches++
	if p.closed {
		p.end(o)
	}
	p.tasks.Go(func() { p.keep(o) })
	for range c.claims {
		p.work(c)
	}
	p.schedule()
}

// join takes a worker that has said hello into its crew. p.mu is held.
func (p *Pool) join(c *crew, o *origin, proc process, rss int64) {
	now := time.Now()
	m := &member{
		proc: proc, crew: c, from: o,
		turn: make(chan struct{}, 1), quit: make(chan struct{}),
		born: now, since: now, rss: rss,
	}
	p.limit(m)
	c.failure, c.killed = nil, 0
	c.counts.Started++
	c.members = append(c.members, m)
	c.idle = append(c.idle, m)
	p.rss += rss
	p.tasks.Go(func() { p.tend(m) })
	switch old := p.replacing; {
	case p.closed:
		m.shut(ErrClosed)
		p.stop(m)
	case old != nil && old.crew == c && !old.replaced && old.state != gone:
		p.relieve(old, m)
	}
}

// startFailed handles a template or worker that did not come up, and keeps
// further attempts off for pause. As long as others of its crew live, those who
// wait can be served by them; else they are told, unless something has killed R,
// which says nothing of the environment: then they wait for the next. p.mu is held.
func (p *Pool) startFailed(c *crew, err error, pause time.Duration) {
	p.unclaim(c, c.claims-c.inflight)
	if p.closed {
		return // everyone has been told already
	}
	c.failure = startError(err)
	p.record(c, 0, causeStart, err)
	p.delay(c, pause)
	if c.killed++; !killed(err) {
		c.killed = 0
	}
	told := false
	if again := c.killed > 0 && c.killed <= maxKilled; !again && len(c.members) == 0 && c.inflight == 0 {
		for i := range c.lines {
			for c.lines[i].head != nil {
				p.dequeue(c.lines[i].head, grant{err: c.failure})
				told = true
			}
		}
		for _, w := range c.warmers {
			w.done <- c.failure
			told = true
		}
		c.warmers = nil
	}
	if !told { // else whoever waited has the error
		p.o.Log.Warn("R did not start", "environment", c.key, "next_attempt_after", pause, "error", err)
	}
}

// killed reports whether somebody has ended R from outside. A crash of its own, and
// what the kernel ends for want of memory, would only come again.
func killed(err error) bool {
	var d *DiedError
	return errors.As(err, &d) && !d.OutOfMemory && !d.OverCPU && (d.Signal == "SIGKILL" || d.Signal == "SIGTERM")
}

// unclaim gives n slots back. p.mu is held.
func (p *Pool) unclaim(c *crew, n int) {
	c.claims -= n
	p.used -= n
	if old := p.replacing; old != nil && old.crew == c && !old.replaced && c.claims == 0 {
		p.replacing = nil
	}
}

// delay keeps starts of c off until pause has passed. p.mu is held.
func (p *Pool) delay(c *crew, pause time.Duration) {
	c.notBefore = time.Now().Add(pause)
	p.nudge()
}

// guard turns a panic of f into an error, so that it reaches who waits instead
// of leaving the claim open for ever.
func guard[T any](f func() (T, error)) (v T, err error) {
	if r := panics.Try(func() { v, err = f() }); r != nil {
		err = fmt.Errorf("rpool: start: %w", r.AsError())
	}
	return v, err
}

// startError is err as a *StartError.
func startError(err error) error {
	var s *StartError
	if errors.As(err, &s) {
		return err
	}
	return &StartError{Step: "start", Err: err}
}
