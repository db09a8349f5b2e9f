package webapi

import (
	"context"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// CircuitBreaker stops sending to a host that mostly fails: with no answer, or
// with one of 500 and above. Requests then wait until, after the cooldown, one
// of them has been tried with success; none fails for that alone before its
// retry.max_elapsed.
type CircuitBreaker struct {
	Failures int              `yaml:"failures" default:"10" min:"1" doc:"How many of the last tries have to fail."`
	Of       int              `yaml:"of" default:"20" min:"1" doc:"How many tries are looked back on, for each host."`
	Cooldown configs.Duration `yaml:"cooldown" default:"30s" doc:"How long nothing is sent. Then one request probes: if it fails as well, the cooldown begins anew."`
}

// Check implements configs.Checker.
func (c *CircuitBreaker) Check(report func(field, message, hint string)) {
	if c.Failures > c.Of {
		report("failures", "is more than of, so it can never open", "")
	}
}

// breakers are those of a client, by host.
type breakers struct {
	config *CircuitBreaker // nil for none
	mu     sync.Mutex
	byHost map[string]*breaker
}

func (b *breakers) of(host string) *breaker {
	if b.config == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byHost[host]
	if one == nil {
		if b.byHost == nil {
			b.byHost = map[string]*breaker{}
		}
		one = &breaker{config: b.config, changed: make(chan struct{})}
		b.byHost[host] = one
	}
	return one
}

// breaker is closed, open, or half-open: open, and a probe is under way.
type breaker struct {
	config *CircuitBreaker

	mu      sync.Mutex
	last    []bool        // of the last tries, whether they failed: a ring
	at      int           // where the next goes
	failed  int           // how many of last
	until   time.Time     // open: no probe before; zero while closed
	probing bool          // half-open
	changed chan struct{} // closed, and replaced, when somebody who waits may go on
}

// enter waits until a try may begin, which may be the probe. Whoever entered
// leaves with its outcome.
func (b *breaker) enter(ctx context.Context) (probe bool, err error) {
	for {
		b.mu.Lock()
		if b.until.IsZero() {
			b.mu.Unlock()
			return false, nil
		}
		wait := time.Until(b.until)
		if wait <= 0 && !b.probing {
			b.probing = true
			b.mu.Unlock()
			return true, nil
		}
		changed := b.changed
		b.mu.Unlock()
		var cool <-chan time.Time
		if wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			cool = timer.C
		}
		select {
		case <-cool:
		case <-changed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// open reports whether tries have to wait.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}

// outcome of a try that entered.
type outcome int

const (
	went     outcome = iota // the host answered
	broke                   // it did not, or with 500 and above
	canceled                // nobody knows
)

func (b *breaker) leave(probe bool, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case probe && o == went:
		b.until, b.probing = time.Time{}, false
		b.last, b.at, b.failed = nil, 0, 0
	case probe && o == broke:
		b.until, b.probing = time.Now().Add(time.Duration(b.config.Cooldown)), false
	case probe: // another may probe
		b.probing = false
	case o == canceled || !b.until.IsZero(): // a straggler of before it opened has no say
		return
	default:
		b.count(o == broke)
		if b.failed < b.config.Failures {
			return
		}
		b.until = time.Now().Add(time.Duration(b.config.Cooldown))
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *breaker) count(failed bool) {
	if len(b.last) < b.config.Of {
		b.last = append(b.last, failed)
	} else {
		if b.last[b.at] {
			b.failed--
		}
		b.last[b.at] = failed
	}
	b.at = (b.at + 1) % b.config.Of
	if failed {
		b.failed++
	}
}
