package server

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tokens"
)

// browser has cookies, and follows no redirect.
type browser struct {
	*http.Client
	s *site
}

func (s *site) browser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &browser{c, s}
}

// do sends a form, or a GET without one, and returns the answer without its body.
func (b *browser) do(t testing.TB, method, path string, form url.Values, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.s.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.s.URL())
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func (b *browser) login(t testing.TB, secret, next string) *http.Response {
	t.Helper()
	return b.do(t, "POST", "/login", url.Values{"token": {secret}, "next": {next}})
}

func (b *browser) is(t testing.TB, want int, method, path string, form url.Values, header ...string) *http.Response {
	t.Helper()
	resp := b.do(t, method, path, form, header...)
	if resp.StatusCode != want {
		t.Errorf("%s %s %v %v: %d, want %d", method, path, form, header, resp.StatusCode, want)
	}
	return resp
}

// csrf is the token that pages of the browser's session have.
func (b *browser) csrf(t testing.TB) string {
	t.Helper()
	r, err := http.NewRequest("GET", b.s.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	in, ok := b.s.sessions.Identify(r)
	if !ok {
		t.Fatal("there is no session")
	}
	return in.CSRF()
}

func always(f *File) { f.Auth = "always" }

func TestLogIn(t *testing.T) {
	s := serve(t, always)
	ana := s.token(t, "ana", tokens.Submit)
	b := s.browser(t)
	b.is(t, 401, "GET", "/v1/info", nil)
	status, h, page := s.ask(t, "GET", "/login?next=/ui/tasks?state=ERROR", "")
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(page, `value="/ui/tasks?state=ERROR"`) {
		t.Errorf("%d %v %s", status, h, page)
	}
	if !strings.Contains(page, `rel="icon"`) {
		t.Error("a browser asks for an icon that there is not")
	}
	for _, file := range regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		b.is(t, 200, "GET", file[1], nil)
	}
	if resp := b.login(t, "rpt_wrong", ""); resp.StatusCode != 403 || len(resp.Cookies()) != 0 {
		t.Errorf("%d %v", resp.StatusCode, resp.Cookies())
	}
	resp := b.login(t, " "+ana+"\n", "/ui/tasks?state=ERROR")
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/ui/tasks?state=ERROR" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || strings.Contains(c.Value, ana) {
		t.Errorf("%s", c)
	}
	b.is(t, 200, "GET", "/v1/info", nil)
	b.is(t, 403, "POST", "/v1/queues/default/pause", nil, "X-CSRF-Token", b.csrf(t)) // by its scopes
	// Scopes that are of no use here do not log in.
	if resp := s.browser(t).login(t, s.token(t, "p", tokens.Proxy), ""); resp.StatusCode != 403 {
		t.Errorf("%d", resp.StatusCode)
	}
	// The place still says who asks where there is no cookie, and a cookie wins.
	s2 := serve(t, nil)
	b2 := s2.browser(t)
	b2.is(t, 200, "GET", "/v1/info", nil)
	b2.login(t, s2.token(t, "ana", tokens.Submit), "")
	b2.is(t, 403, "GET", "/metrics", nil)
}

// TestALogInIsNotPlanted: a page of another site can have a browser send the form.
func TestALogInIsNotPlanted(t *testing.T) {
	s := serve(t, always)
	mallory := url.Values{"token": {s.token(t, "mallory", tokens.Submit)}}
	b := s.browser(t)
	for _, h := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		if resp := b.is(t, 403, "POST", "/login", mallory, h...); len(resp.Cookies()) != 0 {
			t.Errorf("%v: %v", h, resp.Cookies())
		}
	}
}

func TestWhereALogInLeads(t *testing.T) {
	s := serve(t, always)
	ana := s.token(t, "ana", tokens.Submit)
	for next, want := range map[string]string{
		"/ui/jobs/1": "/ui/jobs/1", "/ui/?a=b&c=d": "/ui/?a=b&c=d", "": "/ui/",
		"https://evil.example/ui/": "/ui/", "//evil.example/ui/": "/ui/", "/\\evil.example": "/ui/", "/ui/\\..\\": "/ui/",
		"javascript:alert(1)": "/ui/", "/ui//evil.example": "/ui/", "/v1/jobs": "/ui/", "/ui/../v1/x": "/ui/", "/ui/%2e%2e/x": "/ui/",
		"/ui/x\r\nSet-Cookie: a=b": "/ui/", "ui/": "/ui/", "/login": "/ui/", "/ui/\t/evil": "/ui/", "http:///ui/": "/ui/",
	} {
		resp := s.browser(t).login(t, ana, next)
		if got := resp.Header.Get("Location"); resp.StatusCode != 303 || got != want {
			t.Errorf("%q: %d %q, want %q", next, resp.StatusCode, got, want)
		}
		for _, c := range resp.Cookies() {
			if !strings.HasPrefix(c.Name, session.Prefix) {
				t.Errorf("%q sets %s", next, c)
			}
		}
	}
}

// TestCSRF: the cookie alone changes nothing.
func TestCSRF(t *testing.T) {
	s := serve(t, always)
	b := s.browser(t)
	b.login(t, s.token(t, "ana", tokens.Submit, tokens.Admin), "")
	const pause = "/v1/queues/default/pause"
	token := b.csrf(t)
	b.is(t, 403, "POST", pause, nil)
	b.is(t, 403, "POST", pause, nil, "X-CSRF-Token", "x")
	b.is(t, 403, "POST", pause, nil, "X-CSRF-Token", token, "Origin", "https://evil.example")
	b.is(t, 403, "POST", pause, nil, "X-CSRF-Token", token, "Sec-Fetch-Site", "same-site")
	b.is(t, 403, "POST", pause+"?csrf_token="+token, nil)
	b.is(t, 403, "POST", pause, url.Values{"a": {"b"}}, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	b.is(t, 200, "POST", pause, nil, "X-CSRF-Token", token)
	b.is(t, 200, "POST", "/v1/queues/default/resume", nil, "X-CSRF-Token", token, "Origin", s.URL(), "Sec-Fetch-Site", "same-origin")
	b.is(t, 200, "POST", pause, url.Values{"csrf_token": {token}}) // a form
	b.is(t, 403, "GET", "/v1/info", nil, "Sec-Fetch-Site", "cross-site")
	b.is(t, 200, "GET", "/v1/info", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	b.is(t, 403, "GET", "/v1/info", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")
	b.is(t, 403, "POST", "/logout", url.Values{})
	// A token in the header needs none: no browser sends it by itself.
	if status, _, _ := s.ask(t, "POST", pause, "", "Authorization", "Bearer "+s.token(t, "ada", tokens.Admin)); status != 200 {
		t.Errorf("%d", status)
	}
}

func TestLogOut(t *testing.T) {
	dir := t.TempDir()
	f := config(dir)
	f.Auth = "always"
	s := begin(t, f, Options{})
	ana := s.token(t, "ana", tokens.Submit)
	one, two, three, bo := s.browser(t), s.browser(t), s.browser(t), s.browser(t)
	for _, b := range []*browser{one, two, three} {
		b.login(t, ana, "")
	}
	bo.login(t, s.token(t, "bo", tokens.Submit), "")
	if resp := one.is(t, 303, "POST", "/logout", url.Values{"csrf_token": {one.csrf(t)}}); resp.Header.Get("Location") != "/login" || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%v", resp.Header)
	}
	one.is(t, 401, "GET", "/v1/info", nil)
	two.is(t, 303, "POST", "/logout", url.Values{"csrf_token": {two.csrf(t)}, "everywhere": {"true"}})
	three.is(t, 401, "GET", "/v1/info", nil)
	three.login(t, ana, "")
	// Nobody ends the sessions of others, but an administrator.
	bo.is(t, 403, "DELETE", "/v1/sessions?owner=ana", nil, "X-CSRF-Token", bo.csrf(t))
	three.is(t, 200, "GET", "/v1/info", nil)
	// They outlive the server.
	s.close()
	f2 := config(dir)
	f2.Auth, f2.Listen.Address = "always", s.front.Addr().String() // cookies are of a port
	s = begin(t, f2, Options{})
	defer s.close()
	three.s, bo.s = s, s
	three.is(t, 200, "GET", "/v1/info", nil)
	status, _, body := s.ask(t, "GET", "/v1/sessions?owner=*", "", "Authorization", "Bearer "+s.token(t, "ada", tokens.Admin))
	if status != 200 || strings.Count(body, `"owner"`) != 2 {
		t.Errorf("%d %s", status, body)
	}
	status, _, body = s.ask(t, "DELETE", "/v1/sessions?owner=ana", "", "Authorization", "Bearer "+s.token(t, "ada", tokens.Admin))
	if status != 200 || !strings.Contains(body, `"ended":1`) {
		t.Errorf("%d %s", status, body)
	}
	three.is(t, 401, "GET", "/v1/info", nil)
	bo.is(t, 200, "GET", "/v1/info", nil)
	bo.is(t, 200, "DELETE", "/v1/sessions", nil, "X-CSRF-Token", bo.csrf(t))
	bo.is(t, 401, "GET", "/v1/info", nil)
}

// TestARevokedTokenEndsItsLogIns at once, however they go on being used.
func TestARevokedTokenEndsItsLogIns(t *testing.T) {
	s := serve(t, always)
	secret := s.token(t, "ana", tokens.Submit)
	b := s.browser(t)
	b.login(t, secret, "")
	b.is(t, 200, "GET", "/v1/info", nil)
	if _, err := s.store.Revoke(secret); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	eventually(t, func() bool { return b.do(t, "GET", "/v1/info", nil).StatusCode == 401 })
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := len(s.sessions.List("")); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestStreamsEndWithWhatOpenedThem: who may ask no more hears no more either.
func TestStreamsEndWithWhatOpenedThem(t *testing.T) {
	s := serve(t, always)
	s.access.recheck = 10 * time.Millisecond
	secret, other := s.token(t, "ana", tokens.Submit), s.token(t, "bo", tokens.Submit)
	b := s.browser(t)
	b.login(t, other, "")
	ended := make(chan string, 3)
	open := func(what string, f func()) {
		n := s.streams.used()
		go func() {
			f()
			ended <- what
		}()
		eventually(t, func() bool { return s.streams.used() > n })
	}
	open("events", func() { s.ask(t, "GET", "/v1/events", "", "Authorization", "Bearer "+secret) })
	at, err := s.browserURL()
	if err != nil {
		t.Fatal(err)
	}
	cookie := b.Jar.Cookies(at)[0].String()
	open("page", func() { s.ask(t, "GET", "/ui/events", "", "Cookie", cookie) })
	if _, err := s.store.Revoke(secret); err != nil {
		t.Fatal(err)
	}
	if what := <-ended; what != "events" {
		t.Errorf("%s ended with another's token", what)
	}
	if _, err := s.sessions.EndAll("bo"); err != nil {
		t.Fatal(err)
	}
	<-ended
	if n := s.streams.used(); n != 0 {
		t.Errorf("%d are open", n)
	}
}

// TestGuessing: each address waits longer and longer, and those who know a token do not.
func TestGuessing(t *testing.T) {
	s := serve(t, func(f *File) {
		f.Auth = "always"
		f.Login.Failures, f.Login.MaxDelay = 5, configs.Duration(time.Hour)
	})
	now := time.Now()
	s.access.guesses.now = func() time.Time { return now }
	known, other := s.token(t, "ana", tokens.Submit), s.token(t, "bo", tokens.Submit)
	ask := func(secret string) (int, http.Header) {
		status, h, _ := s.ask(t, "GET", "/v1/info", "", "Authorization", "Bearer "+secret)
		return status, h
	}
	if status, _ := ask(known); status != 200 {
		t.Fatal(status)
	}
	for range 5 {
		if status, _ := ask("rpt_guess"); status != 401 {
			t.Errorf("%d", status)
		}
	}
	for _, want := range []string{"1", "2", "4", "8"} {
		status, h := ask("rpt_guess")
		if status != 429 || h.Get("Retry-After") != want {
			t.Errorf("%d, wait %s, want %s", status, h.Get("Retry-After"), want)
		}
		if status, _ := ask(other); status != 429 { // or guessing would go on behind the wait
			t.Errorf("%d", status)
		}
		if resp := s.browser(t).login(t, "rpt_guess", ""); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != want {
			t.Errorf("the form: %d, wait %s", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		if status, _ := ask(known); status != 200 {
			t.Errorf("who shares the address is shut out: %d", status)
		}
		d := s.access.guesses.wait("127.0.0.1", "x")
		now = now.Add(d)
		if status, _ := ask("rpt_guess"); status != 401 {
			t.Errorf("after the wait: %d", status)
		}
	}
	// What is refused meanwhile does not fill the disk with lines of the audit log.
	for range 3 {
		s.ask(t, "POST", "/v1/jobs", "{}", "Authorization", "Bearer rpt_guess")
	}
	for _, op := range []string{"login", "submitJob"} {
		found, _, err := s.audit.Read(t.Context(), audit.Filter{Op: op})
		if err != nil || len(found) != 1 || found[0].Error != "too_many_failures" || found[0].Status != 429 {
			t.Errorf("%s: %+v, %v", op, found, err)
		}
	}
	now = now.Add(time.Hour)
	if status, _ := ask(other); status != 200 {
		t.Errorf("%d", status)
	}
}

// TestGuessingAtAPIs that are mounted is slowed down as at the server's own paths.
func TestGuessingAtAPIs(t *testing.T) {
	s := serve(t, func(f *File) { f.Login.Failures = 2 })
	now := time.Now()
	s.access.guesses.now = func() time.Time { return now }
	known, other := s.token(t, "ana", tokens.Proxy), s.token(t, "bo", tokens.Proxy)
	guard, err := s.front.Guard(&front.Policy{Auth: &front.Auth{Bearer: true, Scopes: []string{"proxy"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("in")) }))
	f := func(want int, secret string) {
		t.Helper()
		r, w := httptest.NewRequest("GET", "/prices", nil), httptest.NewRecorder()
		r = r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Client: netip.MustParseAddr("192.0.2.7")}))
		r.Header.Set("Authorization", "Bearer "+secret)
		h.ServeHTTP(w, r)
		if w.Code != want || want == 429 && w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: %d, want %d; %v %s", secret, w.Code, want, w.Header(), w.Body)
		}
	}
	f(200, known)
	f(401, "rpt_guess")
	f(401, "rpt_guess")
	f(429, "rpt_guess")
	f(429, other) // or guessing would go on behind the wait
	f(200, known)
	now = now.Add(time.Second)
	f(200, other)
	f(401, "rpt_guess")
	if n, m := counted(t, s.meters.denied.WithLabelValues(unauthenticated)), counted(t, s.meters.denied.WithLabelValues(limited)); n != 3 || m != 2 {
		t.Errorf("%v unknown tokens and %v waits are counted", n, m)
	}
}

// TestGuessingFromEverywhere is slowed down as a whole.
func TestGuessingFromEverywhere(t *testing.T) {
	l := Defaults().Login
	l.Total = 60
	g := newGuesses(&l)
	now := time.Now()
	g.now = func() time.Time { return now }
	g.good("known")
	for i := range 60 {
		client := string(rune('a' + i))
		if d := g.wait(client, "guess"); d != 0 {
			t.Fatalf("guess %d waits %v", i, d)
		}
		g.bad(client)
	}
	if d := g.wait("new", "guess"); d != time.Second {
		t.Errorf("%v", d)
	}
	if d := g.wait("new", "known"); d != 0 {
		t.Errorf("%v", d)
	}
	now = now.Add(time.Second)
	if d := g.wait("new", "guess"); d != 0 {
		t.Errorf("%v", d)
	}
	for i := range 3 * maxGuessers {
		g.bad(string(rune(i)))
	}
	if len(g.by) > maxGuessers || g.order.Len() != len(g.by) {
		t.Errorf("%d, %d", len(g.by), g.order.Len())
	}
}
