package webapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// parsedURL is a request's URL and how it may be told.
type parsedURL struct {
	*url.URL
	shown string
}

func (c *Client) parse(r *Request) (*parsedURL, error) {
	u, err := url.Parse(r.URL)
	shown := c.shown(r.URL)
	switch {
	case err != nil:
		_, err = cause(err)
	case u.Scheme != "http" && u.Scheme != "https":
		err = errors.New("the URL does not begin with http:// or https://")
	case u.Host == "":
		err = errors.New("the URL has no host")
	}
	if err != nil {
		return nil, &Error{Method: r.Method, URL: shown, Class: Row, Err: err}
	}
	u.Fragment, u.RawFragment = "", ""
	return &parsedURL{u, shown}, nil
}

// shown is a text without the secrets of the configuration.
func (c *Client) shown(raw string) string { return c.without(Redact(raw)) }

func (c *Client) without(text string) string {
	for _, s := range c.hide {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "***")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "***")
		}
	}
	return text
}

// try waits for its turn, sends the request once and reads the answer. The error
// is an *Error, or the cause of ctx's end.
func (s *sending) try(ctx context.Context) (*Response, error) {
	probe, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := s.send(ctx)
	if s.client.gate != nil {
		s.client.gate.Leave()
	}
	if s.breaker != nil {
		s.breaker.leave(probe, outcomeOf(err))
	}
	return resp, err
}

// enter waits for the breaker, then for the gate. Who waits for the breaker
// holds no place of the gate: other hosts may do well.
func (s *sending) enter(ctx context.Context) (probe bool, err error) {
	gate := s.client.gate
	for {
		if s.breaker != nil {
			if probe, err = s.enterBreaker(ctx); err != nil {
				return false, err
			}
		}
		if gate == nil {
			return probe, nil
		}
		if err = gate.Enter(ctx); err != nil {
			if s.breaker != nil {
				s.breaker.leave(probe, canceled)
			}
			return false, err
		}
		if s.breaker == nil || probe || !s.breaker.open() {
			return probe, nil
		}
		gate.Leave() // it has opened meanwhile
	}
}

func outcomeOf(err error) outcome {
	var e *Error
	switch {
	case err == nil:
		return went
	case !errors.As(err, &e):
		return canceled
	case e.Status >= 500 || e.Status == 0 && e.Class == Temporary:
		return broke
	}
	return went
}

// enterBreaker waits for an open breaker as long as tries may still begin.
func (s *sending) enterBreaker(ctx context.Context) (probe bool, err error) {
	if s.started.IsZero() {
		s.started = time.Now()
	}
	waiting := ctx
	if left := s.left(); left >= 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	probe, err = s.breaker.enter(waiting)
	if err != nil && ctx.Err() == nil {
		e := s.failed(0, errors.New("the circuit breaker is open: its host has mostly failed"), Temporary)
		e.unsent = true
		return false, e
	}
	return probe, err
}

// send is the try itself.
func (s *sending) send(ctx context.Context) (*Response, error) {
	c, r := s.client, s.request
	var header http.Header
	if c.tokens != nil {
		token, err := c.tokens.get(ctx, s.stale)
		if err != nil {
			return nil, s.noToken(err)
		}
		s.token = token
		header = http.Header{"Authorization": {token.Type() + " " + token.AccessToken}}
	}
	if c.pacer != nil {
		if err := c.pacer.wait(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, s.failed(0, err, Temporary) // the deadline comes before its turn
		}
	}
	if s.tries++; s.started.IsZero() {
		s.started = time.Now()
	}
	s.asked = 0

	clock, ctx2 := newStopwatch(ctx, time.Duration(c.config.Timeout), time.Duration(c.config.ReadTimeout))
	defer clock.stop()
	var connected atomic.Bool
	ctx2 = httptrace.WithClientTrace(ctx2, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			// net/http itself repeats a request that meets a connection which the
			// server has just closed: that counts for the rate as well.
			if connected.Swap(true) && c.pacer != nil {
				c.pacer.spend()
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) { clock.listen() },
	})
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(withOrigin(ctx2, s.url.URL, header), r.Method, s.url.String(), body)
	if err != nil {
		return nil, s.failed(0, err, Row)
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.IdempotencyKey != "" {
		req.Header.Set("Idempotency-Key", r.IdempotencyKey)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, s.lost(ctx, ctx2, err, !connected.Load())
	}
	defer resp.Body.Close()
	if !r.accepts(resp.StatusCode) {
		said, _ := io.ReadAll(&watched{io.LimitReader(resp.Body, refusalBytes), clock})
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.asked = retryAfter(resp.Header, time.Now())
		return nil, s.refusal(resp, said)
	}
	content, err := readAll(resp, clock, c.config.MaxResponse)
	if err != nil {
		return nil, s.lost(ctx, ctx2, err, false)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: content, URL: c.shown(resp.Request.URL.String())}, nil
}

const userAgent = "rpipe"

// refusalBytes is how much is read of an answer that is an error. What is not
// read costs the connection.
const refusalBytes = 64 << 10

// noToken counts a token that could not be had as a try.
func (s *sending) noToken(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.excerpt = s.client.without(e.excerpt)
		s.refused++
		if s.started.IsZero() {
			s.started = time.Now()
		}
	}
	return err
}

func (s *sending) failed(status int, err error, class Class) *Error {
	return &Error{Method: s.request.Method, URL: s.url.shown, Status: status, Class: class, Err: err}
}

// lost is a request without an answer, or without the end of one.
func (s *sending) lost(ctx, tried context.Context, err error, unsent bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if why := context.Cause(tried); why != nil { // the stopwatch's
		err = why
	}
	class, reason := cause(err)
	e := s.failed(0, reason, class)
	e.unsent = unsent
	return e
}

// refusal is an answer whose status is an error.
func (s *sending) refusal(resp *http.Response, content []byte) error {
	e := s.failed(resp.StatusCode, nil, Row)
	e.excerpt = s.client.without(excerpt(content))
	switch {
	case s.client.policy.statuses.Has(resp.StatusCode):
		e.Class = Temporary
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		e.Class = Fatal
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		e.Err = errors.New("max_redirects: 0 follows no redirect")
	}
	return e
}

// readAll reads an answer, up to its limit.
func readAll(resp *http.Response, clock *stopwatch, most configs.Size) ([]byte, error) {
	if resp.ContentLength > int64(most) && resp.Request.Method != http.MethodHead {
		return nil, &rowError{tooLong(most)}
	}
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		b.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	n, err := b.ReadFrom(&watched{io.LimitReader(resp.Body, int64(most)+1), clock})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off after %d bytes: %w", n, err)
	case n > int64(most):
		return nil, &rowError{tooLong(most)}
	}
	return b.Bytes(), nil
}

func tooLong(most configs.Size) error {
	return fmt.Errorf("the answer is longer than max_response, %v", most)
}
