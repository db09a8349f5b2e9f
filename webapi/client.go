package webapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

// Options are what a client is given beside its configuration.
type Options struct {
	Dir      string       // relative paths of certificates start here
	AtOnce   int          // how many requests are likely to be under way at once; 0 is 2
	Limiters *Limiters    // the run's labelled rates; nil for none to share
	Log      *slog.Logger // nil discards

	// Gate, if there is one, is entered for each try and left after it, so that
	// one that waits to be sent again holds no place.
	Gate Gate
}

// Gate bounds how many tries are under way.
type Gate interface {
	Enter(ctx context.Context) error
	Leave()
}

// Client sends requests as its Config says. It is safe for concurrent use.
type Client struct {
	config   *Config
	http     *http.Client
	idle     interface{ CloseIdleConnections() }
	pacer    *pacer // nil for no limit
	breakers breakers
	policy   policy
	tokens   *tokens // nil without OAuth2
	gate     Gate
	log      *slog.Logger
	hide     []string // secrets that servers may send back
}

// New makes a client. The error is about the configuration: a certificate that
// cannot be read, two rates of one label.
func New(c *Config, o Options) (*Client, error) {
	pacer, err := o.Limiters.pacer(c.Rate)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(c, o)
	if err != nil {
		return nil, err
	}
	out := &Client{
		config: c, idle: transport, pacer: pacer, breakers: breakers{config: c.CircuitBreaker},
		policy: c.Retry.policy(), gate: o.Gate, log: o.Log, hide: c.Auth.secrets(),
	}
	if out.log == nil {
		out.log = slog.New(slog.DiscardHandler)
	}
	if c.Auth != nil && c.Auth.OAuth2 != nil {
		out.tokens = newTokens(c.Auth.OAuth2, &http.Client{Transport: transport, Timeout: time.Duration(c.Timeout), CheckRedirect: stayAtHome})
	}
	out.http = &http.Client{Transport: &signer{auth: c.Auth, next: transport}, CheckRedirect: out.redirect}
	return out, nil
}

// Close gives up the connections that are kept for reuse.
func (c *Client) Close() { c.idle.CloseIdleConnections() }

// Do implements Doer.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	parsed, err := c.parse(r)
	if err != nil {
		return nil, err
	}
	s := &sending{client: c, request: r, url: parsed, breaker: c.breakers.of(parsed.Host)}
	for {
		resp, failed := s.try(ctx)
		if failed == nil {
			resp.Tries = s.tries
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var e *Error
		if !errors.As(failed, &e) {
			return nil, failed
		}
		e.Tries = max(s.tries, 1)
		wait, again := s.again(e)
		if !again {
			return nil, e
		}
		c.log.Debug("request failed, it is tried again", "error", e, "try", s.tries, "wait", wait)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// sending is one request on its way.
type sending struct {
	client  *Client
	request *Request
	url     *parsedURL
	breaker *breaker // nil for none

	tries   int           // that have been sent
	started time.Time     // of the first
	asked   time.Duration // what the last answer asked for by Retry-After
	token   *oauth2.Token // of the last try
	stale   *oauth2.Token // has cost a 401
	refused int           // tokens that could not be had
}

// again says whether the request is to be sent again after e, and how long to wait.
func (s *sending) again(e *Error) (wait time.Duration, again bool) {
	p := &s.client.policy
	if e.Status == http.StatusUnauthorized && s.token != nil && s.stale == nil && !e.unsent {
		// The server did not take the token, so it has not done anything either.
		s.stale = s.token
		return 0, true
	}
	tries := s.tries
	if e.unsent {
		tries = max(tries, s.refused)
	}
	if e.Class == Fatal || tries >= p.MaxAttempts || !p.worth(e) || !e.unsent && !s.request.repeatable() {
		return 0, false
	}
	wait = p.wait(max(tries, 1), s.asked)
	if left := s.left(); left >= 0 && wait > left {
		if s.asked > left {
			e.Err = fmt.Errorf("the server asks to wait %v, longer than retry.max_elapsed allows", s.asked.Round(time.Second))
		}
		return 0, false
	}
	return wait, true
}

// left is how long tries may still begin; negative is for ever.
func (s *sending) left() time.Duration {
	most := time.Duration(s.client.policy.MaxElapsed)
	if most <= 0 {
		return -1
	}
	if s.started.IsZero() {
		return most
	}
	return max(0, most-time.Since(s.started))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
