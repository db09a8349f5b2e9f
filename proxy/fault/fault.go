// Package fault is how the proxy answers where R has no answer: a full queue, a
// timeout, a dead worker, an API that does not start. There is an HTTP answer for
// each, never a dropped connection.
package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

// ErrClientGone is the cause of a request's context when its client has hung up.
var ErrClientGone = errors.New("the client has gone")

// ErrDraining is the cause of what ends because the proxy does.
var ErrDraining = errors.New("the server is shutting down")

// StatusClientGone stands in logs and metrics for a request whose client has
// gone; nobody receives it. The number is nginx's.
const StatusClientGone = 499

// Fault is an answer with its reason.
type Fault struct {
	Status     int
	Reason     string        // one of few words, for metrics and clients: queue_full, timeout, worker_died …
	Message    string        // what a client may know
	RetryAfter time.Duration // 0 for none
	Err        error         // what the log and, in development, the page say
}

func (f *Fault) Error() string {
	if f.Err != nil {
		return f.Err.Error()
	}
	return f.Message
}
func (f *Fault) Unwrap() error { return f.Err }

// New is a fault that the proxy itself finds, such as 413.
func New(status int, reason, message string) *Fault {
	return &Fault{Status: status, Reason: reason, Message: message}
}

// Of says which answer an error of the pool, or of a context, becomes.
func Of(err error) *Fault {
	var own *Fault
	var timeout *rpool.TimeoutError
	var died *rpool.DiedError
	var start *rpool.StartError
	var size *rpool.FrameSizeError
	var condition *rpool.ConditionError
	f := &Fault{Err: err}
	set := func(status int, reason, message string, retry time.Duration) *Fault {
		f.Status, f.Reason, f.Message, f.RetryAfter = status, reason, message, retry
		return f
	}
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, rpool.ErrQueueFull):
		return set(503, "queue_full", "too many requests are waiting", time.Second)
	case errors.Is(err, rpool.ErrQueueWait):
		return set(503, "queue_wait", "no R worker was free in time", time.Second)
	case errors.Is(err, rpool.ErrClosed), errors.Is(err, ErrDraining):
		return set(503, "draining", "the server is shutting down", time.Second)
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return set(504, "timeout", "R took longer than it may", 0)
	case errors.Is(err, ErrClientGone), errors.Is(err, context.Canceled):
		return set(StatusClientGone, "client_gone", "the client has gone", 0)
	case errors.As(err, &size) && size.Request:
		return set(413, "too_large", "the request is too large", 0)
	case errors.As(err, &size):
		return set(500, "response_too_large", "the answer is too large", 0)
	case errors.As(err, &died):
		return set(502, "worker_died", "the R worker died", 0)
	case errors.As(err, &start):
		return set(503, "start", "R does not start", 5*time.Second)
	case errors.As(err, &condition):
		return set(500, "r_error", "an R error", 0)
	}
	return set(500, "internal", "an error of the server", 0)
}

// Writer writes faults as HTTP answers.
type Writer struct {
	// Details says that answers tell what the log does: R's message, traceback and
	// stderr. For development; clients learn the message alone otherwise.
	Details bool
}

// Write answers with the fault that err is, and notes it in the request's
// exchange. Nothing must have been written to w before.
func (fw Writer) Write(w http.ResponseWriter, r *http.Request, err error) {
	f := Of(err)
	exchange.Of(r.Context()).Err = f
	h := w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	h.Set("Cache-Control", "no-store")
	if fw.Details && strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(f.Status)
		if r.Method != http.MethodHead {
			page(w, f)
		}
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	if r.Method == http.MethodHead {
		return
	}
	answer := struct {
		Error     string `json:"error"`
		Message   string `json:"message"`
		Details   string `json:"details,omitempty"`
		RequestID string `json:"request_id,omitempty"`
	}{Error: f.Reason, Message: f.Message, RequestID: exchange.Of(r.Context()).ID}
	if fw.Details {
		answer.Details = Details(f.Err)
	}
	json.NewEncoder(w).Encode(answer)
}

// Details is all there is to say of err: R's condition with its traceback, the
// last lines of a dead worker.
func Details(err error) string {
	if err == nil {
		return ""
	}
	var condition *rpool.ConditionError
	text := err.Error()
	if errors.As(err, &condition) && len(condition.Traceback) > 0 {
		text += "\n" + strings.Join(condition.Traceback, "\n")
	}
	return text
}

// page is the HTML that a developer sees.
func page(w http.ResponseWriter, f *Fault) {
	fmt.Fprintf(w, pageHTML, f.Status, http.StatusText(f.Status), f.Status, http.StatusText(f.Status), escape(f.Message), escape(Details(f.Err)))
}
