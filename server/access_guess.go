package server

import (
	"container/list"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// guesses slows down who tries tokens. An address that has shown some that are unknown
// waits, twice as long each time; all addresses together may show so many a minute.
// Secrets that were good before are let through meanwhile, so that nobody can lock others
// out who share his address. Its zero value slows nobody down.
type guesses struct {
	free   int           // failures without a wait
	most   time.Duration // longest wait
	total  *rate.Limiter // of failures of all
	now    func() time.Time
	mu     sync.Mutex
	by     map[string]*list.Element
	order  list.List // of *guesser; who failed last is in front
	known  map[[32]byte]bool
	noted  map[string]time.Time
	forget time.Duration // failures are forgotten so long after the last wait
}

type guesser struct {
	client   string
	failures int
	last     time.Time
	until    time.Time
}

// How much is remembered.
const (
	maxGuessers = 10_000
	maxKnown    = 10_000
	maxNoted    = 10_000
)

func newGuesses(l *Login) *guesses {
	return &guesses{
		free: l.Failures, most: time.Duration(l.MaxDelay), now: time.Now, forget: 15 * time.Minute,
		total: rate.NewLimiter(rate.Limit(float64(l.Total)/60), l.Total),
		by:    map[string]*list.Element{}, known: map[[32]byte]bool{}, noted: map[string]time.Time{},
	}
}

// wait is how long a client has to wait before it may show a secret; 0 is not at all.
func (g *guesses) wait(client, secret string) time.Duration {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[sha256.Sum256([]byte(secret))] {
		return 0
	}
	if e := g.by[client]; e != nil {
		if d := e.Value.(*guesser).until.Sub(now); d > 0 {
			return d
		}
	}
	if g.total != nil && g.total.TokensAt(now) < 1 {
		return time.Duration(float64(time.Second) / float64(g.total.Limit()))
	}
	return 0
}

// good remembers a secret that was. What its client got wrong before still counts: one
// good token is not to buy guesses.
func (g *guesses) good(secret string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxKnown {
		clear(g.known)
	}
	g.known[sha256.Sum256([]byte(secret))] = true
}

// bad counts a secret that is unknown, and returns for how long its client is shut out.
func (g *guesses) bad(client string) time.Duration {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total != nil {
		g.total.AllowN(now, 1)
	}
	e := g.by[client]
	if e == nil {
		if g.order.Len() >= maxGuessers {
			delete(g.by, g.order.Remove(g.order.Back()).(*guesser).client)
		}
		e = g.order.PushFront(&guesser{client: client})
		g.by[client] = e
	}
	g.order.MoveToFront(e)
	f := e.Value.(*guesser)
	if now.Sub(f.last) > g.forget && now.After(f.until.Add(g.forget)) {
		f.failures = 0
	}
	f.failures++
	f.last = now
	over := f.failures - g.free
	if over < 0 {
		return 0
	}
	d := g.most
	if over < 30 {
		d = min(time.Second<<over, g.most)
	}
	f.until = now.Add(d)
	return d
}

// once reports whether something is to be noted that was not within a time.
func (g *guesses) once(what string, within time.Duration) bool {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, was := g.noted[what]; was && now.Sub(at) < within {
		return false
	}
	if len(g.noted) >= maxNoted {
		clear(g.noted)
	}
	g.noted[what] = now
	return true
}

// guesserOf is by whom guesses are counted: an address, of IPv6 the network that one
// customer usually has.
func guesserOf(r *http.Request) string {
	a := exchange.Of(r.Context()).Client
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	if a == (netip.Addr{}) {
		return "unix"
	}
	return a.String()
}

// verify looks a secret up, unless its client has to wait. The error is what he gets.
func (a *access) verify(r *http.Request, secret string) (tokens.Token, error) {
	if a.tokens == nil {
		return tokens.Token{}, unauthorized("there is no token store, so no token is good: make one with rpipe token create")
	}
	t, wait, err := a.lookUp(r, secret)
	switch {
	case wait > 0:
		return t, tooManyGuesses(wait)
	case err == nil:
		return t, nil
	case errors.Is(err, tokens.ErrUnknown), errors.Is(err, tokens.ErrExpired), errors.Is(err, tokens.ErrRevoked):
		return t, unauthorized(err.Error() + ": rpipe token create makes one")
	}
	a.log.Error("no token can be verified", "error", err)
	return t, unauthorized("the token cannot be verified: the server's token store cannot be read")
}

// lookUp is the token of a secret, or for how long its client has to wait before he may
// show one.
func (a *access) lookUp(r *http.Request, secret string) (t tokens.Token, wait time.Duration, err error) {
	client := guesserOf(r)
	if d := a.guesses.wait(client, secret); d > 0 {
		a.deny(limited)
		return t, d, nil
	}
	t, err = a.tokens.Verify(secret)
	switch {
	case err == nil:
		a.guesses.good(secret)
	case errors.Is(err, tokens.ErrUnknown):
		note := ""
		if d := a.guesses.bad(client); d > 0 {
			note = "the address has to wait " + d.String()
			a.log.Warn("an address shows token after token that is unknown: it has to wait", "address", client, "wait", d.String())
		}
		a.record(r, nil, audit.Entry{Op: "token", Outcome: audit.Refused, Status: http.StatusUnauthorized, Error: "unknown", Note: note})
	case errors.Is(err, tokens.ErrExpired), errors.Is(err, tokens.ErrRevoked):
		// It was good once, so nobody guesses; programs go on showing it for days.
		if a.guesses.once(t.ID+" "+client, time.Hour) {
			a.record(r, &who{by: "token", token: t.ID, Who: ownerOnly(t.Owner)}, audit.Entry{Op: "token", Outcome: audit.Refused, Status: http.StatusUnauthorized, Error: t.State(time.Now())})
		}
	}
	return t, 0, err
}

// deny counts somebody who was refused.
func (a *access) deny(reason string) {
	if a.denied != nil {
		a.denied.WithLabelValues(reason).Inc()
	}
}

// tokensOfAPIs is what the policies of mounted APIs look tokens up in: who guesses there
// waits as he does at the server's own paths.
type tokensOfAPIs struct{ a *access }

// Verify implements front.Tokens.
func (t tokensOfAPIs) Verify(secret string) (tokens.Token, error) { return t.a.tokens.Verify(secret) }

// VerifyFor implements front.WatchedTokens.
func (t tokensOfAPIs) VerifyFor(r *http.Request, secret string) (tokens.Token, error) {
	found, wait, err := t.a.lookUp(r, secret)
	if errors.Is(err, tokens.ErrUnknown) {
		t.a.deny(unauthenticated)
	}
	if wait > 0 {
		return found, &fault.Fault{Status: http.StatusTooManyRequests, Reason: "too_many_failures", Message: guessed, RetryAfter: wait}
	}
	return found, err
}

// guessed is what is said to who has to wait.
const guessed = "too many unknown tokens came from this address: wait, and look where they come from"

func tooManyGuesses(d time.Duration) error {
	return &api.Fault{
		Status: http.StatusTooManyRequests, Code: "too_many_failures", RetryAfter: api.Duration(d),
		Message: guessed,
	}
}
