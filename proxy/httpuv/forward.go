package httpuv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// forward answers a request that is no websocket.
func (t *Transport) forward(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	for {
		tries, err := t.try(w, r, x)
		if err == nil {
			return
		}
		if x.Attempts < tries {
			continue
		}
		t.o.Fault.Write(w, r, err)
		return
	}
}

// try asks one worker. After an error, up to tries may have been asked in all.
func (t *Transport) try(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) (tries int, err error) {
	a := ask{prefer: t.preferred(r)}
	start := time.Now()
	worker, err := t.crew.take(r.Context(), a)
	x.Queue += time.Since(start)
	if err != nil {
		return 0, err
	}
	x.Attempts++
	x.Worker = worker.lease.Pid()

	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if t.o.Timeout > 0 {
		defer time.AfterFunc(t.o.Timeout, func() {
			cancel(&rpool.TimeoutError{After: t.o.Timeout, Step: "SIGINT"})
		}).Stop()
	}
	start = time.Now()
	s := spool{limit: int64(t.o.Config.MaxResponse)}
	defer s.close()
	token := strconv.FormatUint(t.requests.Add(1), 36)
	resp, err := t.ask(ctx, worker, r, x, token)
	if err == nil {
		defer resp.Body.Close()
		if isStream(resp) {
			defer t.crew.give(worker, a)
			t.answerHead(w, resp, x, a, worker)
			w.WriteHeader(resp.StatusCode)
			stream(w, resp.Body)
			x.R += time.Since(start)
			return 0, nil
		}
		_, err = io.Copy(&s, resp.Body)
	}
	x.R += time.Since(start)
	if err != nil {
		return t.failed(ctx, worker, a, r, token, err)
	}
	t.crew.give(worker, a)
	t.answerHead(w, resp, x, a, worker)
	if resp.ContentLength < 0 && hasBody(r.Method, resp.StatusCode) {
		w.Header().Set("Content-Length", strconv.FormatInt(s.size, 10))
	}
	w.WriteHeader(resp.StatusCode)
	if hasBody(r.Method, resp.StatusCode) {
		s.writeTo(w) // who does not read to the end has gone
	}
	return 0, nil
}

func hasBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// ask sends r to a worker and waits for the head of its answer.
func (t *Transport) ask(ctx context.Context, worker *worker, r *http.Request, x *exchange.Exchange, token string) (*http.Response, error) {
	body, size := body(r, x)
	out := (&http.Request{
		Method: r.Method, URL: target(r.URL), Host: r.Host, Header: t.requestHeader(r, x, token),
		Body: body, ContentLength: size, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		// httpuv sends a body with the answer to HEAD: that connection is of no use after.
		Close: r.Method == http.MethodHead,
	}).WithContext(ctx)
	return worker.http.RoundTrip(out)
}

// target is where a worker finds what u asks for, escaped as it came.
func target(u *url.URL) *url.URL {
	out := *u
	out.Scheme, out.Host = "http", "worker"
	if out.Path == "" {
		out.Path, out.RawPath = "/", ""
	}
	return &out
}

// body is the request's, from its beginning.
func body(r *http.Request, x *exchange.Exchange) (io.ReadCloser, int64) {
	switch b := x.Body; {
	case b == nil && r.Body == nil, b != nil && b.Size == 0:
		return http.NoBody, 0
	case b == nil:
		return io.NopCloser(r.Body), r.ContentLength
	case b.File != nil:
		return io.NopCloser(io.NewSectionReader(b.File, 0, b.Size)), b.Size
	default:
		return io.NopCloser(bytes.NewReader(b.Data)), b.Size
	}
}

// answerHead takes over the head of a worker's answer.
func (t *Transport) answerHead(w http.ResponseWriter, resp *http.Response, x *exchange.Exchange, a ask, worker *worker) {
	stripHopByHop(resp.Header)
	h := w.Header()
	for name, values := range resp.Header {
		h[name] = append(h[name], values...)
	}
	t.stick(h, x, a.prefer, worker.id)
}

// isStream tells answers that are to be handed on as they come: server-sent
// events whose end is not known.
func isStream(resp *http.Response) bool {
	return resp.ContentLength < 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
}

func stream(w http.ResponseWriter, body io.Reader) {
	flush := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			flush.Flush()
		}
		if err != nil {
			return
		}
	}
}

// failed says what became of a request whose worker gave no whole answer, and of
// how many workers it may be asked in all. It sees to the worker.
func (t *Transport) failed(ctx context.Context, worker *worker, a ask, r *http.Request, token string, err error) (tries int, _ error) {
	switch {
	case errors.Is(err, errTooLarge):
		t.crew.give(worker, a)
		return 1, &fault.Fault{
			Status: http.StatusInternalServerError, Reason: "response_too_large", Message: "the answer is too large",
			Err: fmt.Errorf("the answer has more than %v (max_response)", t.o.Config.MaxResponse),
		}
	case ctx.Err() != nil:
		t.crew.abandon(worker, a, token)
		return 1, context.Cause(ctx)
	}
	unsent := errors.As(err, new(*dialError))
	// The connection broke: mostly because the worker has died, which is known soon;
	// or because httpuv takes no such request, which costs the worker nothing.
	message, patience := "the R worker broke off", t.o.Grace
	if worker.listens() {
		message, patience = "httpuv closed the connection: it does not take such a request", alive
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-worker.ended:
		if worker.err != nil {
			err = worker.err
		}
	case <-late.C:
	case <-r.Context().Done():
	}
	t.crew.give(worker, a)
	if !errors.As(err, new(*rpool.DiedError)) {
		err = &fault.Fault{Status: http.StatusBadGateway, Reason: "worker_died", Message: message, Err: err}
	}
	switch {
	case !replayable(r):
		return 1, err
	case unsent:
		return 5, err
	case slices.Contains(idempotent, r.Method):
		return 2, err
	}
	return 1, err
}

// alive is how long a worker that listens still may take to turn out dead: its
// sockets are not closed all at once.
const alive = 100 * time.Millisecond

var idempotent = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete}

// replayable reports whether the request's body is still there.
func replayable(r *http.Request) bool {
	return exchange.Of(r.Context()).Body != nil || r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0
}
