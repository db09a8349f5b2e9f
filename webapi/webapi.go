// Package webapi is the HTTP client for web APIs that pipelines use: the source
// http and the stage fetch embed its [Config] and send their requests by a
// [Client].
//
// A client keeps a rate, retries what may fare better, waits as long as the
// server asks for, and signs requests. It promises:
//
//   - GET, HEAD, PUT and DELETE are at least once. Any other request is sent
//     again only where it cannot have reached the server, or where the
//     [Request] says that it may be repeated.
//   - A request never takes longer than Config.Timeout a try, nor is it tried
//     for longer than Retry.MaxElapsed after its first.
//   - Credentials go to the host of the request alone, not to where it redirects.
//   - No answer takes more memory than Config.MaxResponse.
//   - No error, log line or cached file has a secret of the configuration.
//
// [Template] is the other half: URLs, headers and bodies with places for the
// values of a row, each escaped for where it stands.
package webapi

import (
	"context"
	"net/http"
)

// Doer sends requests: a Client, or what stands before one, such as a Cache.
type Doer interface {
	// Do sends a request and reads the whole answer. The error is an *Error, or
	// the cause of ctx's end. It may be called by several goroutines.
	Do(ctx context.Context, r *Request) (*Response, error)
}

// Request is one request; Do may send it several times. Whoever made it must
// not change it until Do returns.
type Request struct {
	Method string // GET, HEAD, POST, PUT, PATCH or DELETE
	URL    string // absolute, http or https
	Header http.Header
	Body   []byte // nil for none

	// Idempotent says that the request may be repeated whatever its method.
	Idempotent bool
	// IdempotencyKey is sent as the header Idempotency-Key, the same at each
	// try; a request that has one may be repeated. "" is none.
	IdempotencyKey string
	// Accept reports whether a status is an answer rather than an error; nil
	// accepts 200 to 299.
	Accept func(status int) bool
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	URL    string // where it came from, after redirects, without secrets
	Tries  int    // how often the request was sent, 0 for an answer from a cache
}

// repeatable reports whether the request may be sent again though an earlier
// try may have reached the server.
func (r *Request) repeatable() bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Idempotent || r.IdempotencyKey != ""
}

func (r *Request) accepts(status int) bool {
	if r.Accept != nil {
		return r.Accept(status)
	}
	return status >= 200 && status <= 299
}
