package plumber

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// With buffer_body: false the body is read here, and the front's limits hold still.
func TestABodyThatDoesNotComeInWholeHasItsReason(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(iotest.ErrReader(err)))
		w := httptest.NewRecorder()
		new(API).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
	}
	f(errors.New("unexpected EOF"), http.StatusBadRequest)
	f(fault.New(http.StatusRequestEntityTooLarge, "too_large", "the body is too large"), http.StatusRequestEntityTooLarge)
	f(fault.New(http.StatusRequestTimeout, "slow_body", "the body came in too slowly"), http.StatusRequestTimeout)
}
