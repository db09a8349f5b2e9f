package rpool

import (
	"errors"
	"slices"
	"time"
)

// Incident is something that went wrong with a process: a worker that died, or
// one, or a template, that did not start.
type Incident struct {
	Time        time.Time
	Environment string // fingerprint
	Pid         int    // of the worker; 0 for one that did not start
	// Cause is a signal's name, exit, out_of_memory, unknown; timeout, canceled,
	// closed or reply_too_large where a request that did not listen to SIGINT had
	// to be killed for it; start for what did not start.
	Cause string
	Error string // in words, with R's last lines
}

// recent is how many incidents a pool remembers.
const recent = 32

// record remembers an incident, and forgets the oldest. p.mu is held.
func (p *Pool) record(c *crew, pid int, cause string, err error) {
	if cause != causeStart {
		if p.deaths == nil {
			p.deaths = make(map[string]int64)
		}
		p.deaths[cause]++
	}
	if len(p.incidents) == recent {
		p.incidents = slices.Delete(p.incidents, 0, 1)
	}
	p.incidents = append(p.incidents, Incident{Time: time.Now(), Environment: c.key, Pid: pid, Cause: cause, Error: shortened(err.Error())})
}

const causeStart = "start"

// shortened keeps the beginning, which says what happened, and the end, which
// has R's last lines.
func shortened(s string) string {
	const most = 8 << 10
	if len(s) <= most {
		return s
	}
	return s[:most/4] + "\n...\n" + s[len(s)-most*3/4:]
}

// died records the end of a worker that nobody wanted. p.mu is held.
func (p *Pool) died(m *member) {
	d := m.proc.Death()
	if d == nil {
		return
	}
	cause := d.Signal
	switch {
	case d.OutOfMemory:
		cause = "out_of_memory"
	case cause != "":
	case d.ExitStatus < 0:
		cause = "unknown"
	default:
		cause = "exit"
	}
	p.record(m.crew, m.proc.Pid(), cause, d)
}

// killed records the end of a worker whose request had to be stopped with err and
// did not listen. p.mu is held.
func (p *Pool) killed(m *member, err error) {
	cause := "canceled"
	var (
		late *TimeoutError
		size *FrameSizeError
		died *DiedError
	)
	switch {
	case errors.As(err, &late):
		cause = "timeout"
	case errors.As(err, &size):
		cause = "reply_too_large"
	case errors.As(err, &died) && died.OutOfMemory:
		cause = "out_of_memory"
	case errors.Is(err, ErrClosed):
		cause = "closed"
	}
	p.record(m.crew, m.proc.Pid(), cause, err)
}
