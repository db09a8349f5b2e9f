package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tokens"
)

// TestPagesWantALogIn: a person is led there, a program is told.
func TestPagesWantALogIn(t *testing.T) {
	s := serve(t, always)
	b := s.browser(t)
	for path, want := range map[string]string{"/ui/": "/login?next=%2Fui%2F", "/ui/tasks?state=ERROR": "/login?next=%2Fui%2Ftasks%3Fstate%3DERROR"} {
		if resp := b.is(t, 303, "GET", path, nil); resp.Header.Get("Location") != want || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
	b.is(t, 401, "GET", "/v1/info", nil)
	b.login(t, s.token(t, "ana", tokens.Submit), "")
	resp := b.is(t, 200, "GET", "/ui/", nil)
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%s", csp)
	}
}

// TestOthersTasksAreNotOnPages either.
func TestOthersTasksAreNotOnPages(t *testing.T) {
	s := serve(t, always)
	j := submit(t, s.as(t, "ana", tokens.Submit), `{"expr": "1", "name": "hidden-name", "queue": "nobody-takes-this"}`)
	see := func(owner string, want bool) {
		t.Helper()
		b := s.browser(t)
		b.login(t, s.token(t, owner, tokens.Submit), "")
		for _, path := range []string{"/ui/", "/ui/jobs", "/ui/tasks", "/ui/jobs/" + j.ID, "/ui/tasks/" + j.ID + ".1"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := b.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode >= 500 {
				t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
			}
			if found := strings.Contains(string(body), "hidden-name"); found && !want || want && !found && strings.Contains(path, j.ID) {
				t.Errorf("%s sees %s: %d %v", owner, path, resp.StatusCode, found)
			}
		}
	}
	see("bo", false)
	see("ana", true)
}
