package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

func TestEachErrorHasItsAnswer(t *testing.T) {
	f := func(err error, status int, reason, retry string) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		x := &exchange.Exchange{ID: "id7"}
		Writer{}.Write(w, r.WithContext(exchange.With(r.Context(), x)), fmt.Errorf("ask: %w", err))
		var body struct{ Error, Message, Details, Request_ID string }
		if e := json.Unmarshal(w.Body.Bytes(), &body); e != nil {
			t.Fatalf("%v: %s", e, w.Body)
		}
		if w.Code != status || body.Error != reason || w.Header().Get("Retry-After") != retry {
			t.Errorf("%v: %d %s, Retry-After %q", err, w.Code, body.Error, w.Header().Get("Retry-After"))
		}
		if body.Request_ID != "id7" || body.Message == "" || body.Details != "" {
			t.Errorf("%v: %s", err, w.Body)
		}
		if !errors.Is(x.Err, err) {
			t.Errorf("%v: the exchange has %v", err, x.Err)
		}
	}
	f(rpool.ErrQueueFull, 503, "queue_full", "1")
	f(rpool.ErrQueueWait, 503, "queue_wait", "1")
	f(rpool.ErrClosed, 503, "draining", "1")
	f(ErrDraining, 503, "draining", "1")
	f(&rpool.TimeoutError{After: time.Second, Step: "SIGINT"}, 504, "timeout", "")
	f(context.DeadlineExceeded, 504, "timeout", "")
	f(&rpool.DiedError{Signal: "SIGKILL"}, 502, "worker_died", "")
	f(&rpool.StartError{Step: "package", What: "x"}, 503, "start", "5")
	f(&rpool.FrameSizeError{Request: true}, 413, "too_large", "")
	f(&rpool.FrameSizeError{}, 500, "response_too_large", "")
	f(&rpool.ConditionError{Message: "no"}, 500, "r_error", "")
	f(ErrClientGone, StatusClientGone, "client_gone", "")
	f(errors.New("what else"), 500, "internal", "")
	f(New(http.StatusTeapot, "tea", "short and stout"), 418, "tea", "")
}

// What R said is for developers: others learn that something failed, no more.
func TestDetailsAreToldInDevelopmentAlone(t *testing.T) {
	secret := &rpool.ConditionError{Message: "<b>password</b> wrong", Call: "login(u)", Traceback: []string{"login(u) at db.R:7"}}
	answer := func(w Writer, method, accept string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/", nil)
		r.Header.Set("Accept", accept)
		w.Write(rec, r, secret)
		return rec
	}
	for _, accept := range []string{"text/html", "application/json"} {
		if got := answer(Writer{}, http.MethodGet, accept).Body.String(); strings.Contains(got, "password") {
			t.Errorf("a client is told %s", got)
		}
	}
	page := answer(Writer{Details: true}, http.MethodGet, "text/html,*/*").Body.String()
	for _, want := range []string{"&lt;b&gt;password", "db.R:7", "<!doctype html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	if got := answer(Writer{Details: true}, http.MethodGet, "application/json").Body.String(); !strings.Contains(got, "db.R:7") {
		t.Errorf("a developer is told %s", got)
	}
	if n := answer(Writer{Details: true}, http.MethodHead, "text/html").Body.Len(); n != 0 {
		t.Errorf("HEAD is answered with %d bytes", n)
	}
}
