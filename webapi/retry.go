package webapi

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Retry says when a request is sent again, and how long after.
//
// The wait before try n+1 is drawn evenly from 0 to Initial × 2^(n-1), at most
// Max ("full jitter": M. Brooker, Exponential Backoff And Jitter, 2015). Where
// the server says Retry-After, that is the least wait, though it be longer than
// Max.
type Retry struct {
	MaxAttempts int              `yaml:"max_attempts" default:"5" min:"1" doc:"How often a request is sent, in all. 1 is never again."`
	Initial     configs.Duration `yaml:"initial" default:"500ms" doc:"The longest wait before the second try; it doubles with each. The wait itself is drawn at random between 0 and that, so that clients do not come back all at once."`
	Max         configs.Duration `yaml:"max" default:"30s" doc:"The longest wait, unless the server asks for a longer one with Retry-After."`
	MaxElapsed  configs.Duration `yaml:"max_elapsed" default:"5m" doc:"No try begins later than this after the first one. A Retry-After beyond it ends the tries at once. 0 is no limit."`
	On          []string         `yaml:"on" default:"[429, 5xx, network]" scalar:"true" doc:"What is worth another try: statuses (503), classes of them (5xx), and network: no connection, a broken one, no answer in time."`
}

// Check implements configs.Checker.
func (c *Retry) Check(report func(field, message, hint string)) {
	for _, on := range c.On {
		if _, err := ParseStatuses([]string{on}); err != nil && on != "network" {
			report("on", err.Error(), "such as [429, 5xx, network]")
		}
	}
	if c.Max < c.Initial {
		report("max", "is less than initial", "")
	}
}

// Statuses is a set of status codes.
type Statuses []status

type status struct{ from, to int }

// ParseStatuses reads statuses (404) and classes of them (2xx).
func ParseStatuses(words []string) (out Statuses, err error) {
	for _, w := range words {
		if n, err := strconv.Atoi(w); err == nil && n >= 100 && n <= 599 {
			out = append(out, status{n, n})
			continue
		}
		if len(w) != 3 || w[0] < '1' || w[0] > '5' || !strings.EqualFold(w[1:], "xx") {
			return nil, errors.New(w + " is neither a status such as 404 nor a class such as 5xx")
		}
		n := int(w[0]-'0') * 100
		out = append(out, status{n, n + 99})
	}
	return out, nil
}

// Has reports whether a code is in the set.
func (s Statuses) Has(code int) bool {
	return slices.ContainsFunc(s, func(r status) bool { return r.from <= code && code <= r.to })
}

// policy is a Retry that has been read.
type policy struct {
	Retry
	statuses Statuses
	network  bool
}

func (c Retry) policy() policy {
	p := policy{Retry: c}
	for _, on := range c.On {
		if on == "network" {
			p.network = true
		} else if s, err := ParseStatuses([]string{on}); err == nil {
			p.statuses = append(p.statuses, s...)
		}
	}
	return p
}

// worth reports whether what e says may pass.
func (p *policy) worth(e *Error) bool {
	if e.Status != 0 {
		return p.statuses.Has(e.Status)
	}
	return p.network && e.Class == Temporary
}

// wait is how long to wait after try n, the first being 1.
func (p *policy) wait(n int, asked time.Duration) time.Duration {
	most := time.Duration(p.Max)
	if step := time.Duration(p.Initial) << min(n-1, 40); step > 0 && step>>min(n-1, 40) == time.Duration(p.Initial) {
		most = min(most, step)
	}
	drawn := time.Duration(0)
	if most > 0 {
		drawn = rand.N(most + 1)
	}
	if asked > 0 {
		// Those who were told the same time shall not come back in one moment.
		return asked + min(drawn, asked/10)
	}
	return drawn
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110,
// section 10.2.3). 0 is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(longestAsked/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, at.Sub(now)), longestAsked)
	}
	return 0
}

// longestAsked is what a server can ask for at most: what is added to it stays in
// the range of a Duration.
const longestAsked = (1 << 31) * time.Second
