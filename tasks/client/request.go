package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/trace"
)

// request is one that may be sent more than once.
type request struct {
	method, path string
	query        url.Values
	body         func() (io.Reader, int64, error) // anew for each try; nil for none. -1 is a length that is not known
	contentType  string
	accept       string
	header       http.Header
	once         bool          // asking twice would be doing twice
	waits        bool          // for tasks, which outlive a restart of the server
	long         time.Duration // how long the head of the answer may take beyond the usual
}

// document is a body in JSON.
func document(in any) (func() (io.Reader, int64, error), error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return func() (io.Reader, int64, error) { return bytes.NewReader(b), int64(len(b)), nil }, nil
}

// restart is how long a server may be away, or end what it does, before those who wait
// for tasks give up.
const restart = 2 * time.Minute

// do sends a request, again where the connection breaks or the server is not ready, and
// returns the answer where it is one of success.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	began, pause := time.Now(), c.pause
	var last error
	for try := 0; ; try++ {
		resp, err := c.send(ctx, &r)
		if err == nil {
			return resp, nil
		}
		if errors.Is(err, errSent) {
			return nil, fmt.Errorf("%w: %w", errSent, last)
		}
		last = err
		var fault *api.Fault
		errors.As(err, &fault)
		refused := isRefused(err) // nothing was sent
		again := refused || !r.once && (fault == nil || fault.Status == http.StatusServiceUnavailable)
		patient := r.waits && c.options.Retries > 0 && (refused || fault != nil && fault.Code == "draining") && time.Since(began) < restart
		if try >= c.options.Retries && !patient || !again || ctx.Err() != nil {
			return nil, err
		}
		wait := pause + rand.N(pause)
		if fault != nil && fault.RetryAfter > 0 {
			wait = max(wait, time.Duration(fault.RetryAfter))
		}
		c.log.Warn("asking the task server again", "error", err, "in", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
		pause = min(2*pause, 50*c.pause)
	}
}

// send sends a request once.
func (c *Client) send(ctx context.Context, r *request) (*http.Response, error) {
	at := c.base + r.path
	if len(r.query) > 0 {
		at += "?" + r.query.Encode()
	}
	var body io.Reader
	var size int64
	if r.body != nil {
		var err error
		if body, size, err = r.body(); err != nil {
			return nil, err
		}
	}
	// The head of an answer has a time limit, its body does not.
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(c.options.Timeout+r.long, func() {
		cancel(fmt.Errorf("the task server at %s has not answered within %v", c.base, c.options.Timeout+r.long))
	})
	hr, err := http.NewRequestWithContext(ctx, r.method, at, body)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if body != nil {
		hr.ContentLength = size
		if size < 0 {
			limit.Stop() // it takes as long as it takes to send
		}
		hr.Header.Set("Content-Type", r.contentType)
	}
	for name, values := range r.header {
		hr.Header[name] = values
	}
	if r.accept != "" {
		hr.Header.Set("Accept", r.accept)
	}
	hr.Header.Set("User-Agent", c.options.Agent)
	if parent, state := trace.Header(ctx); parent != "" {
		hr.Header.Set("Traceparent", parent)
		if state != "" {
			hr.Header.Set("Tracestate", state)
		}
	}
	if c.options.Token != "" {
		hr.Header.Set("Authorization", "Bearer "+c.options.Token)
	}
	resp, err := c.http.Do(hr)
	late := !limit.Stop() && size >= 0
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && late {
			err = cause
		}
		cancel(nil)
		return nil, c.unreachable(err)
	}
	resp.Body = &ended{resp.Body, func() { cancel(nil) }}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, c.fault(resp)
	}
	return resp, nil
}

// ended ends the context of a request with its answer.
type ended struct {
	io.ReadCloser
	cancel func()
}

func (e *ended) Close() error {
	err := e.ReadCloser.Close()
	e.cancel()
	return err
}

// isRefused reports whether no connection came to be.
func isRefused(err error) bool {
	var op interface{ Timeout() bool }
	return strings.Contains(err.Error(), "connection refused") && errors.As(err, &op)
}

// unreachable says what a user can do about a server that does not answer.
func (c *Client) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if isRefused(err) {
		return fmt.Errorf("the task server at %s: %w: is it running? rpipe serve starts one; RPIPE_URL or --url says where it is", c.base, err)
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return fmt.Errorf("the task server at %s: %w: --ca or RPIPE_CA names the file with its authority, or its own certificate", c.base, err)
	}
	return fmt.Errorf("the task server at %s: %w", c.base, err)
}

// fault is what an answer says that is none of success.
func (c *Client) fault(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	f := &api.Fault{}
	if json.Unmarshal(body, f) != nil || f.Code == "" {
		// Something else answers there.
		if strings.Contains(string(body), "HTTP request to an HTTPS server") { // as net/http has it
			return fmt.Errorf("%s is spoken to without TLS, and wants it: write https:// in --url or RPIPE_URL", c.base)
		}
		f = &api.Fault{Code: "http", Message: fmt.Sprintf("%s answers %s: is a task server there?", c.base, resp.Status)}
	}
	f.Status = resp.StatusCode
	if f.RetryAfter == 0 {
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			f.RetryAfter = api.Duration(time.Duration(seconds) * time.Second)
		}
	}
	return f
}

// get asks for a document.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	return answer[T](c.do(ctx, request{method: http.MethodGet, path: path, query: query, accept: api.JSON}))
}

// put sends a document that may be sent twice, and has one back.
func put[T any](ctx context.Context, c *Client, path string, in any) (*T, error) {
	body, err := document(in)
	if err != nil {
		return nil, err
	}
	return answer[T](c.do(ctx, request{method: http.MethodPut, path: path, body: body, contentType: api.JSON, accept: api.JSON}))
}

// post sends a document, and has one back.
func post[T any](ctx context.Context, c *Client, path string, in any, once bool) (*T, error) {
	r := request{method: http.MethodPost, path: path, accept: api.JSON, contentType: api.JSON, once: once}
	if in != nil {
		var err error
		if r.body, err = document(in); err != nil {
			return nil, err
		}
	}
	return answer[T](c.do(ctx, r))
}

// remove deletes what is at a path.
func remove(ctx context.Context, c *Client, path string) error {
	_, err := answer[api.Deleted](c.do(ctx, request{method: http.MethodDelete, path: path, accept: api.JSON, once: true}))
	return err
}

// answer decodes a document.
func answer[T any](resp *http.Response, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := new(T)
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("the answer of the task server: %w", err)
	}
	io.Copy(io.Discard, resp.Body) // so that the connection is kept
	return out, nil
}
