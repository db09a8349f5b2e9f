package rpool

import (
	"context"
	"errors"
	"time"
)

var (
	errOverMemory = errors.New("rpool: worker is over its memory limit")
	errOverCPU    = errors.New("rpool: request is over its limit of processor time")
)

// run runs one request on m, which the caller holds, by lease l if that is not nil.
func (p *Pool) run(ctx context.Context, m *member, l *Lease, r *Request) (*Reply, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	allowed := limits{memory: r.Memory, cpu: r.CPU}
	if r.CPU > 0 {
		allowed.cpu += m.proc.CPU()
	}
	m.mu.Lock()
	m.limits = allowed
	reason := m.reason
	released := l != nil && l.released // while waiting for the turn: m may be somebody else's by now
	if reason == nil && !released {
		m.cancel = cancel
	}
	m.mu.Unlock()
	if released {
		return nil, errReleased
	}
	if reason != nil {
		return nil, p.explain(m, reason, reason)
	}
	if m.dead() {
		return nil, m.proc.Death()
	}

	start, finished := time.Now(), false
	defer func() {
		if !finished { // a panic passes through: nobody knows what the worker does now
			m.mu.Lock()
			m.cancel = nil
			m.mu.Unlock()
			p.mu.Lock()
			m.spent = true
			p.mu.Unlock()
		}
	}()
	reply, err := m.proc.Do(ctx, r)
	finished = true
	busy := time.Since(start)

	m.mu.Lock()
	m.cancel, m.limits = nil, limits{}
	reason = m.reason
	m.mu.Unlock()
	if reason != nil && err != nil {
		err = p.explain(m, reason, err)
	}
	p.account(ctx, m, busy, err, reason != nil)
	return reply, err
}

// explain gives a request that the pool itself interrupted its error.
func (p *Pool) explain(m *member, reason, err error) error {
	if !errors.Is(reason, errOverMemory) && !errors.Is(reason, errOverCPU) {
		return reason
	}
	var died *DiedError
	if !errors.As(err, &died) && !errors.Is(err, reason) {
		return err // it ended by itself before the interrupt came
	}
	p.mu.Lock()
	e := &DiedError{Pid: m.proc.Pid(), RSS: m.rss}
	p.mu.Unlock()
	if died != nil {
		rss := e.RSS
		*e = *died
		e.RSS = max(rss, died.RSS)
	}
	if errors.Is(reason, errOverCPU) {
		e.OverCPU = true
	} else {
		e.OutOfMemory = true
	}
	return e
}

// account books a request that ended with err; interrupted says that the pool
// itself wanted it to end.
func (p *Pool) account(ctx context.Context, m *member, busy time.Duration, err error, interrupted bool) {
	clean, deliberate := true, interrupted
	var outcome Counts
	if err != nil {
		var (
			condition *ConditionError
			timedOut  *TimeoutError
			died      *DiedError
			size      *FrameSizeError
			start     *StartError
		)
		switch {
		case errors.As(err, &condition):
			outcome.Errors++
		case errors.As(err, &timedOut):
			outcome.Timeouts++
			deliberate = true
		case errors.As(err, &size): // a reply that is too large costs the worker its life
			outcome.Errors++
			deliberate = true
		case errors.As(err, &died), errors.As(err, &start):
			// Of the process of an isolated request, if m is alive.
			outcome.Lost++
			clean = !m.dead()
		case ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err())):
			outcome.Canceled++
			deliberate = true
		default:
			outcome.Lost++
			clean = false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := m.crew
	m.served++
	outcome.Requests, outcome.BusyTime = 1, busy
	c.counts.add(&outcome)
	p.runs[m.pri].observe(busy)
	m.expected = deliberate && m.dead()
	if m.expected && err != nil { // nil: it had answered before the next rung hit it
		p.killed(m, err)
	}
	if clean && !deliberate {
		c.crashes.succeed()
	}
	if !clean || m.maxRequests > 0 && m.served >= m.maxRequests {
		m.spent = true
	}
}
