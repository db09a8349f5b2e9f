package front

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// serve is the handler of all requests.
func (f *Front) serve(rw http.ResponseWriter, r *http.Request) {
	f.requests.add(1)
	defer f.requests.add(-1)
	c := connOf(r.Context())
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	stop := context.AfterFunc(r.Context(), func() { cancel(f.why()) })
	defer stop()
	if c != nil {
		if r.ProtoMajor == 1 {
			c.raw.active.Store(&cancel)
			defer c.raw.active.Store(nil)
		} else {
			c.disable() // HTTP/2 without TLS
		}
	}
	x := &exchange.Exchange{Start: time.Now()}
	r = r.WithContext(exchange.With(ctx, x))
	w := newWriter(f, rw, r, x)
	if r.ContentLength != 0 && r.Body != http.NoBody {
		w.unread = true
		r.Body = &tracked{r.Body, w}
	}
	defer f.finish(w, r, x)
	if refused := f.inspect(r, c); refused != nil {
		f.identify(r, x)
		w.close = true
		f.deps.Fault.Write(w, r, refused)
		return
	}
	if c != nil {
		c.trim(r)
	}
	cleanRequest(r)
	f.identify(r, x)
	f.handler.ServeHTTP(w, f.traced(r, x))
}

// why is the cause of a request's context that net/http has ended.
func (f *Front) why() error {
	if cause := context.Cause(f.base); cause != nil {
		return cause
	}
	return fault.ErrClientGone
}

// inspect finds requests that nobody is to see.
func (f *Front) inspect(r *http.Request, c *tapped) error {
	switch {
	case len(r.RequestURI) > int(f.config.MaxURI):
		return fault.New(http.StatusRequestURITooLong, "uri_too_long", "the path and query are too long")
	case r.Method == http.MethodConnect, len(r.URL.Path) == 0 || r.URL.Path[0] != '/':
		return fault.New(http.StatusBadRequest, "bad_request", "the request has no path")
	case strings.IndexByte(r.URL.Path, 0) >= 0: // where R code decodes it, the path ends there
		return fault.New(http.StatusBadRequest, "bad_request", "the path has a NUL")
	case c == nil:
		return nil
	case len(r.TransferEncoding) > 0 && c.had(r, "Content-Length"),
		!r.ProtoAtLeast(1, 1) && c.had(r, "Transfer-Encoding"):
		return fault.New(http.StatusBadRequest, "ambiguous_length", "the request says in two ways how long it is")
	}
	return nil
}

// finish runs when the handler has returned, or panicked: it writes what is left
// of the answer and tells those who want to know.
func (f *Front) finish(w *writer, r *http.Request, x *exchange.Exchange) {
	p := recover()
	if p != nil {
		f.panicked(w, r, x, p)
	}
	if p == nil && !w.hijacked {
		w.finish()
	}
	if w.status == 0 {
		w.status = http.StatusOK // net/http says so when nobody does
		if p != nil {
			w.status = fault.StatusClientGone
		}
	}
	if x.Err == nil && w.err != nil {
		x.Err = w.failed(r)
	}
	took := time.Since(x.Start)
	endSpan(w, r, x)
	f.access.write(w, r, x, took)
	if f.deps.Observer != nil {
		f.deps.Observer.Done(x, r, w.status, w.written, took)
	}
	if p != nil && (w.wrote || p == http.ErrAbortHandler) {
		panic(http.ErrAbortHandler) // what is out cannot be taken back; net/http hangs up
	}
}

// panicked turns a panic into an answer, where there is none yet.
func (f *Front) panicked(w *writer, r *http.Request, x *exchange.Exchange, p any) {
	if p == http.ErrAbortHandler {
		if x.Err == nil {
			x.Err = fault.New(http.StatusBadGateway, "aborted", "the answer broke off")
		}
		return
	}
	err := fmt.Errorf("panic: %v", p)
	f.log.Error("a handler panicked", logs.Request, x.ID, "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if w.wrote || w.hijacked {
		x.Err = err
		return
	}
	clear(w.Header())
	f.deps.Fault.Write(w, r, &fault.Fault{Status: 500, Reason: "internal", Message: "an error of the server", Err: err})
	w.finish()
	w.wrote = false // it is whole
}

// failed says why an answer could not be written.
func (w *writer) failed(r *http.Request) error {
	if timedOut(w.err) {
		return &fault.Fault{Status: w.status, Reason: "slow_reader", Message: "the client read too slowly", Err: w.err}
	}
	var own *fault.Fault
	if errors.As(w.err, &own) {
		return own
	}
	return fault.ErrClientGone
}
