package session

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/tokens"
)

// fakes are tokens by id; the real store is behind the server's own tests.
type fakes map[string]tokens.Token

func (f fakes) Check(id string) (tokens.Token, error) {
	t, ok := f[id]
	switch {
	case !ok:
		return t, tokens.ErrUnknown
	case !t.Revoked.IsZero():
		return t, tokens.ErrRevoked
	case !t.Expires.IsZero() && !time.Now().Before(t.Expires):
		return t, tokens.ErrExpired
	}
	return t, nil
}

func open(t *testing.T, path string, f fakes, o Options) *Store {
	t.Helper()
	s, err := Open(path, f, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// browser keeps cookies as one does, for one host.
type browser struct{ cookies []*http.Cookie }

func (b *browser) request(method, target string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func (b *browser) login(s *Store, target string, t tokens.Token) *Session {
	w := httptest.NewRecorder()
	in := s.Begin(w, b.request("POST", target, nil), t, "192.0.2.1")
	b.cookies = w.Result().Cookies()
	return in
}

func TestASessionIsOfItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		path := filepath.Join(t.TempDir(), "sessions.json")
		f := fakes{
			"a": {ID: "a", Owner: "ana", Scopes: []tokens.Scope{tokens.Submit}},
			"b": {ID: "b", Owner: "bo", Expires: start.Add(time.Hour)},
		}
		o := Options{Idle: 30 * time.Minute, Lifetime: 24 * time.Hour}
		s := open(t, path, f, o)
		var ana, bo browser
		const at = "http://h:1/ui/"
		has := func(b *browser, owner string) {
			t.Helper()
			got, ok := s.Identify(b.request("GET", at, nil))
			if ok != (owner != "") || ok && got.Owner != owner {
				t.Fatalf("after %v: %+v, %v, want %q", time.Since(start), got, ok, owner)
			}
		}
		has(&ana, "")
		ana.login(s, at, f["a"])
		bo.login(s, at, f["b"])
		has(&ana, "ana")
		// A restart, after which uses count from what was saved.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path, f, o)
		has(&ana, "ana")
		has(&bo, "bo")
		// In use, it lives as long as the token, or as it may.
		for range 4 {
			time.Sleep(20 * time.Minute)
			has(&ana, "ana")
			s.Identify(bo.request("GET", at, nil))
		}
		has(&bo, "")
		time.Sleep(30 * time.Minute)
		has(&ana, "") // idle
		ana.login(s, at, f["a"])
		for range 71 {
			time.Sleep(20 * time.Minute)
			has(&ana, "ana")
		}
		time.Sleep(20 * time.Minute)
		has(&ana, "") // a day old
		ana.login(s, at, f["a"])
		revoked := f["a"]
		revoked.Revoked = time.Now()
		f["a"] = revoked
		has(&ana, "")
		f["a"] = tokens.Token{ID: "a", Owner: "ana"} // it is forgotten, though
		has(&ana, "")
	})
}

func TestLogOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.json")
	f := fakes{"a": {ID: "a", Owner: "ana"}, "a2": {ID: "a2", Owner: "ana"}, "b": {ID: "b", Owner: "bo"}}
	s := open(t, path, f, Options{})
	const at = "http://h/"
	var one, two, three, other browser
	one.login(s, at, f["a"])
	two.login(s, at, f["a"])
	three.login(s, at, f["a2"])
	other.login(s, at, f["b"])
	if n := len(s.List("ana")); n != 3 {
		t.Errorf("%d sessions of ana", n)
	}
	w := httptest.NewRecorder()
	if err := s.End(w, one.request("POST", at, nil)); err != nil {
		t.Fatal(err)
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("%v", c)
	}
	is := func(b *browser, want bool) {
		t.Helper()
		for _, s := range []*Store{s, open(t, path, f, Options{})} { // also after a restart
			if _, ok := s.Identify(b.request("GET", at, nil)); ok != want {
				t.Errorf("%v", ok)
			}
		}
	}
	is(&one, false)
	is(&two, true)
	if n, err := s.EndAll("ana"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	is(&two, false)
	is(&three, false)
	is(&other, true)
}

// TestFixation: a cookie that was there before the log-in is worth nothing after it.
func TestFixation(t *testing.T) {
	f := fakes{"a": {ID: "a", Owner: "ana"}, "m": {ID: "m", Owner: "mallory"}}
	s := open(t, filepath.Join(t.TempDir(), "s"), f, Options{})
	var mallory browser
	mallory.login(s, "http://h/", f["m"])
	victim := browser{mallory.cookies}
	victim.login(s, "http://h/", f["a"])
	if got, ok := s.Identify(mallory.request("GET", "http://h/", nil)); ok {
		t.Errorf("the planted cookie is a session of %s", got.Owner)
	}
	if victim.cookies[0].Value == mallory.cookies[0].Value {
		t.Error("the cookie stays the same")
	}
	// Two of a name: one was planted.
	r := victim.request("GET", "http://h/", nil)
	r.AddCookie(mallory.cookies[0])
	if _, ok := s.Identify(r); ok {
		t.Error("one of two cookies was taken")
	}
}

func TestCookies(t *testing.T) {
	f := fakes{"a": {ID: "a", Owner: "ana"}}
	path := filepath.Join(t.TempDir(), "s")
	s := open(t, path, f, Options{Lifetime: time.Hour})
	var b browser
	for target, name := range map[string]string{
		"http://h/": "rpipe_session", "http://h:7033/": "rpipe_session_7033", "https://h:7033/": "__Host-rpipe_session_7033", "https://[::1]/": "__Host-rpipe_session",
	} {
		b = browser{}
		b.login(s, target, f["a"])
		c := b.cookies[0]
		tls := strings.HasPrefix(target, "https")
		if c.Name != name || c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.Secure != tls || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 3600 {
			t.Errorf("%s: %s", target, c)
		}
		if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), c.Value) {
			t.Errorf("the file has the cookie: %v", err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// What was set without TLS opens nothing with it.
	b.login(s, "http://h/", f["a"])
	if _, ok := s.Identify(b.request("GET", "https://h/", nil)); ok {
		t.Error("a cookie of http is taken by https")
	}
	r := b.request("GET", "http://h/", nil)
	r.Header.Add("Cookie", "theme=dark; __Host-rpipe_session_1=x;a=b")
	Strip(r)
	if got := r.Header["Cookie"]; len(got) != 1 || got[0] != "theme=dark; a=b" {
		t.Errorf("%q", got)
	}
}

func TestCSRF(t *testing.T) {
	f := fakes{"a": {ID: "a", Owner: "ana"}}
	s := open(t, filepath.Join(t.TempDir(), "s"), f, Options{})
	var one, two browser
	first, second := one.login(s, "http://h/", f["a"]), two.login(s, "http://h/", f["a"])
	check := func(want bool, change func(r *http.Request), form url.Values) {
		t.Helper()
		r := one.request("POST", "http://h/ui/x?csrf_token="+first.CSRF(), form)
		change(r)
		in, ok := s.Identify(r)
		if !ok || in.CheckCSRF(r) != want {
			t.Errorf("%v, %v, want %v", ok, in.CheckCSRF(r), want)
		}
	}
	nothing := func(*http.Request) {}
	check(false, nothing, nil) // not in the URL
	check(true, nothing, url.Values{"csrf_token": {first.CSRF()}})
	check(false, nothing, url.Values{"csrf_token": {second.CSRF()}})
	check(false, nothing, url.Values{"csrf_token": {""}})
	check(true, func(r *http.Request) { r.Header.Set("X-CSRF-Token", first.CSRF()) }, nil)
	check(false, func(r *http.Request) { r.Header.Set("X-CSRF-Token", second.CSRF()) }, url.Values{"csrf_token": {first.CSRF()}})
	r := one.request("GET", "http://h/", nil)
	if in, ok := s.Identify(r); !ok || Token(r.WithContext(With(r.Context(), in))) != first.CSRF() || Token(r) != "" {
		t.Error("pages do not get the token")
	}
	for _, listed := range s.List("") {
		if listed.CSRF() != "" {
			t.Error("a list has secrets")
		}
	}
}

func TestThereAreNotTooMany(t *testing.T) {
	f := fakes{"a": {ID: "a", Owner: "ana"}}
	s := open(t, filepath.Join(t.TempDir(), "s"), f, Options{})
	var first, b browser
	first.login(s, "http://h/", f["a"])
	for range maxOfToken {
		b = browser{}
		b.login(s, "http://h/", f["a"])
	}
	if n := len(s.List("")); n != maxOfToken {
		t.Errorf("%d sessions", n)
	}
	if _, ok := s.Identify(first.request("GET", "http://h/", nil)); ok {
		t.Error("the oldest is still there")
	}
}

func TestAFileThatIsBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, text := range []string{"{", `{"version":2}`, `{"version":1,"sessions":{"x":{},"` + strings.Repeat("a", 64) + `":null}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := open(t, path, fakes{}, Options{}); len(s.List("")) != 0 {
			t.Errorf("%s: %+v", text, s.List(""))
		}
	}
}
