package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

func draining(w http.ResponseWriter) {
	w.WriteHeader(503)
	io.WriteString(w, `{"error": "draining", "message": "later"}`)
}

// TestWhatIsDoneOnceIsNotRepeated: a server that ends, or whose engine does not answer,
// may have done it all the same.
func TestWhatIsDoneOnceIsNotRepeated(t *testing.T) {
	asked := 0
	c := answering(t, 3, func(w http.ResponseWriter, r *http.Request) { asked++; draining(w) })
	c.pause = time.Microsecond
	f := func(what string, err error) {
		t.Helper()
		var fault *api.Fault
		if !errors.As(err, &fault) || fault.Code != "draining" || asked != 1 {
			t.Errorf("%s: %v, %d times", what, err, asked)
		}
		asked = 0
	}
	_, err := c.Backup(t.Context(), "/b")
	f("backup", err)
	_, err = c.Message(t.Context(), "w", api.Message{Type: "eval"})
	f("eval", err)
	_, err = c.SubmitR(t.Context(), strings.NewReader("X\n"))
	f("submission without an id", err)
}

// TestWhyABodyWasNotSentIsTold, where it cannot be read again.
func TestWhyABodyWasNotSentIsTold(t *testing.T) {
	c := answering(t, 3, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		io.WriteString(w, `{"error": "engine", "message": "the disk is slow"}`)
	})
	c.pause = time.Microsecond
	_, err := c.PutValue(t.Context(), io.MultiReader(strings.NewReader("X\n")))
	var fault *api.Fault
	if !errors.Is(err, errSent) || !errors.As(err, &fault) || fault.Message != "the disk is slow" {
		t.Error(err)
	}
}

// TestWaitingLivesThroughARestart, which takes longer than the tries of other requests.
func TestWaitingLivesThroughARestart(t *testing.T) {
	asked := 0
	c := answering(t, 2, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 20 {
			draining(w)
			return
		}
		io.WriteString(w, `{"done": true, "total": 1}`)
	})
	c.pause = time.Microsecond
	if r, err := c.Wait(t.Context(), api.WaitRequest{IDs: []string{"j"}}); err != nil || !r.Done || asked != 20 {
		t.Errorf("%+v, %v, %d times", r, err, asked)
	}
	asked = 0
	if _, err := c.Info(t.Context()); err == nil || asked != 3 {
		t.Errorf("%v, %d times", err, asked)
	}
}

// TestATokenStaysWithItsServer: nothing of the API leads elsewhere.
func TestATokenStaysWithItsServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	c := answering(t, -1, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Submit(context.Background(), &api.Submission{Expr: &api.Value{JSON: []byte(`"1"`)}})
	var fault *api.Fault
	if !errors.As(err, &fault) || fault.Status != http.StatusTemporaryRedirect {
		t.Error(err)
	}
}
