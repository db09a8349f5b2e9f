package front

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tokens"
)

// hello answers with who asks and what of it R would see.
func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello %s %s%s", exchange.Of(r.Context()).Owner, r.Header.Get("X-Forwarded-User"), r.Header.Get("Authorization"))
}

type store map[string]tokens.Token

func (s store) Verify(secret string) (tokens.Token, error) {
	switch secret {
	case "old":
		return tokens.Token{}, tokens.ErrExpired
	case "broken":
		return tokens.Token{}, errors.New("the file of tokens cannot be read")
	}
	if t, ok := s[secret]; ok {
		return t, nil
	}
	return tokens.Token{}, tokens.ErrUnknown
}

var secrets = store{
	"good":  {Owner: "ann", Scopes: []tokens.Scope{tokens.Proxy}},
	"other": {Owner: "bob", Scopes: []tokens.Scope{tokens.Submit}},
}

// asks is a row of a table: a request and what must come of it.
type asks struct {
	s *site
	t *testing.T
}

func (a asks) want(name string, status int, answer, method, path string, headers ...string) *http.Response {
	a.t.Helper()
	resp, body := a.s.do(method, path, "", headers...)
	if resp.StatusCode != status || !strings.Contains(body, answer) {
		a.t.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, body, status, answer)
	}
	return resp
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("hashed"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := setup{deps: Deps{Tokens: secrets}, policy: `
auth:
  bearer: true
  realm: a "realm"
  basic:
    - {name: carl, password: plain}
    - {name: dora, hash: "` + string(hash) + `"}
routes:
  - {path: /public/*, auth: {public: true}}
  - {path: /tasks, methods: [GET], auth: {bearer: true, scopes: [submit]}}
  - {path: /local/*, allow: [10.0.0.0/8]}
`}.start(t, hello)
	f := asks{s, t}.want
	const auth = "Authorization"
	basic := func(name, password string) string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth(name, password)
		return r.Header.Get(auth)
	}
	resp := f("nobody", 401, `"no_credentials"`, "GET", "/")
	if got := resp.Header["Www-Authenticate"]; len(got) != 2 || got[0] != `Bearer realm="a \"realm\""` || !strings.HasPrefix(got[1], "Basic ") {
		t.Errorf("challenges %q", got)
	}
	f("a token", 200, "hello ann ann", "GET", "/", auth, "Bearer good")
	f("its scheme in small letters", 200, "hello ann ann", "GET", "/", auth, "bearer good")
	f("the header names nobody else", 200, "hello ann ann", "GET", "/", auth, "Bearer good", "X-Forwarded-User", "root")
	f("no token", 401, `"bad_token"`, "GET", "/", auth, "Bearer bad")
	f("an empty one", 401, `"bad_token"`, "GET", "/", auth, "Bearer ")
	f("one that has expired", 401, "the token has expired", "GET", "/", auth, "Bearer old")
	f("a store that fails", 503, `"token_store"`, "GET", "/", auth, "Bearer broken")
	f("another scope", 403, `"scope"`, "GET", "/", auth, "Bearer other")
	f("a password", 200, "hello carl carl", "GET", "/", auth, basic("carl", "plain"))
	f("a wrong one", 401, `"bad_password"`, "GET", "/", auth, basic("carl", "hashed"))
	f("a hashed one", 200, "hello dora dora", "GET", "/", auth, basic("dora", "hashed"))
	f("known by now", 200, "hello dora dora", "GET", "/", auth, basic("dora", "hashed"))
	f("wrong still", 401, `"bad_password"`, "GET", "/", auth, basic("dora", "hashed "))
	f("an unknown user", 401, `"bad_password"`, "GET", "/", auth, basic("eve", "hashed"))
	f("no user", 401, `"bad_password"`, "GET", "/", auth, basic("", ""))

	f("a public route", 200, "hello", "GET", "/public/a")
	f("one of another scope", 200, "hello bob", "GET", "/tasks", auth, "Bearer other")
	f("and its HEAD", 200, "", "HEAD", "/tasks", auth, "Bearer other")
	f("and with a slash", 200, "hello bob", "GET", "/tasks/", auth, "Bearer other")
	f("but no other method", 403, `"scope"`, "POST", "/tasks", auth, "Bearer other")
	f("from here", 403, `"not_allowed"`, "GET", "/local/x", auth, "Bearer good")

	// Nothing gets around a rule by another spelling.
	f("dots", 400, `"ambiguous_path"`, "GET", "/public/../secret")
	f("escaped dots", 400, `"ambiguous_path"`, "GET", "/public/%2e%2e/secret")
	f("escaped slashes", 400, `"ambiguous_path"`, "GET", "/public%2f..%2fsecret")
	f("two slashes", 400, `"ambiguous_path"`, "GET", "//local/x", auth, "Bearer good")
	f("escaped letters", 403, `"not_allowed"`, "GET", "/%6cocal/x", auth, "Bearer good")
	f("an escaped slash, which plumber does not read as one", 400, `"ambiguous_path"`, "GET", "/public%2fa")
	f("a backslash, which Windows reads as a slash", 400, `"ambiguous_path"`, "GET", "/public/..%5csecret")
	f("an escaped slash within a rule", 200, "hello", "GET", "/public/a%2Fb")
	f("dots within a rule", 200, "hello", "GET", "/public/a/../b")
}

// Whether there is a user shows in the time of an answer if bcrypt runs for some only.
func TestWrongPasswordsCostTheSame(t *testing.T) {
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	defer func() {
		for range cap(hashing) {
			<-hashing
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", "/", nil)
	f := func(name string, hashes bool, users ...User) {
		t.Helper()
		a := newAuthority(&Auth{Basic: users}, nil)
		if ok, err := a.right(r, name, "wrong"); ok || (err != nil) != hashes {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	plain, hashed := User{Name: "carl", Password: "plain"}, User{Name: "dora", Hash: "$2a$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}
	for _, name := range []string{"carl", "dora", "eve"} {
		f(name, true, plain, hashed)
	}
	f("carl", false, plain)
	f("eve", false, plain)
}

func TestFromWhere(t *testing.T) {
	t.Parallel()
	s := setup{listen: "trusted_proxies: loopback", policy: "allow: [192.0.2.0/24, 2001:db8::1]"}.start(t, hello)
	f := asks{s, t}.want
	f("inside", 200, "hello", "GET", "/", "X-Forwarded-For", "192.0.2.9")
	f("inside, IPv6", 200, "hello", "GET", "/", "X-Forwarded-For", "2001:db8::1")
	f("outside", 403, "not_allowed", "GET", "/", "X-Forwarded-For", "192.0.3.9")
	f("the proxy itself", 403, "not_allowed", "GET", "/")
}

func TestOtherSites(t *testing.T) {
	t.Parallel()
	calls := 0
	s := setup{policy: `
cors: {origins: ["https://a.example", "https://*.b.example"], methods: [GET, PUT], headers: [X-A], credentials: true, max_age: 1m}
auth: {basic: [{name: carl, password: plain}]}
`}.start(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header()["access-control-allow-origin"] = []string{"*"} // as plumber's users write it
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		hello(w, r)
	})
	f := asks{s, t}.want
	h := f("a preflight", 204, "", "OPTIONS", "/x", "Origin", "https://a.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-a").Header
	if h.Get("Access-Control-Allow-Origin") != "https://a.example" || h.Get("Access-Control-Max-Age") != "60" || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Allow-Methods") != "PUT" {
		t.Errorf("%v", h)
	}
	if h := f("of another site", 204, "", "OPTIONS", "/x", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT").Header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", h)
	}
	if h := f("by its pattern", 204, "", "OPTIONS", "/x", "Origin", "https://x.b.example", "Access-Control-Request-Method", "GET").Header; h.Get("Access-Control-Allow-Origin") != "https://x.b.example" {
		t.Errorf("%v", h)
	}
	if calls != 0 {
		t.Errorf("%d preflight requests reached the API", calls)
	}
	if h := f("a refusal can be read", 401, "no_credentials", "GET", "/", "Origin", "https://a.example").Header; h.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("%v", h)
	}
	h = f("a request", 200, "hello carl", "GET", "/", "Origin", "https://a.example", "Authorization", "Basic Y2FybDpwbGFpbg==").Header
	if got := h["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://a.example" {
		t.Errorf("%q: a browser takes one alone", got)
	}
	h = f("of a site that is not listed", 200, "hello carl", "GET", "/", "Origin", "https://evil.example", "Authorization", "Basic Y2FybDpwbGFpbg==").Header
	if h["Access-Control-Allow-Origin"] != nil || h["Access-Control-Allow-Credentials"] != nil {
		t.Errorf("R opens what the configuration closes: %v", h)
	}
}

func TestHowOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := newLimiter(&RateLimit{Rate: 0.5, Burst: 2, By: "header:X-Key", Clients: 3})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(key string) error {
			r, _ := http.NewRequest("GET", "/", nil)
			r.Header.Set("X-Key", key)
			return l.allow(r)
		}
		f := func(key string, retry time.Duration) {
			t.Helper()
			err := ask(key)
			if retry == 0 && err != nil {
				t.Errorf("%s: %v", key, err)
			}
			if retry > 0 && (err == nil || retryAfter(err) != retry) {
				t.Errorf("%s: %v, %v", key, err, retryAfter(err))
			}
		}
		f("a", 0)
		f("a", 0)
		f("a", 2*time.Second)
		f("a", 2*time.Second) // asking in vain costs nothing
		f("b", 0)
		time.Sleep(time.Second)
		f("a", time.Second)
		time.Sleep(time.Second)
		f("a", 0)
		for i := range 100 {
			ask(fmt.Sprint(i))
		}
		if n := len(l.clients); n != 3 || l.order.Len() != 3 {
			t.Errorf("%d clients are remembered", n)
		}
	})
}

func TestLargeKeysAreNotKept(t *testing.T) {
	l, err := newLimiter(&RateLimit{Rate: 0.001, Burst: 1, By: "header:X-Key", Clients: 3})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "/", nil)
	r.Header.Set("X-Key", strings.Repeat("k", 60<<10))
	if first, second := l.allow(r), l.allow(r); first != nil || second == nil {
		t.Error(first, second)
	}
	for key := range l.clients {
		if len(key) > 64 {
			t.Errorf("%d bytes are remembered of a client", len(key))
		}
	}
}

func retryAfter(err error) time.Duration {
	return fault.Of(err).RetryAfter
}

func TestTooOften(t *testing.T) {
	t.Parallel()
	s := setup{listen: "trusted_proxies: loopback", deps: Deps{Tokens: secrets}, policy: `
rate_limit: {rate: 0.001, burst: 1}
auth: {bearer: true, scopes: [proxy, submit]}
routes: [{path: /owner, rate_limit: {rate: 0.001, burst: 1, by: owner}}, {path: /large, max_body: 1GiB}]
`}.start(t, hello)
	f := asks{s, t}.want
	const auth, xff = "Authorization", "X-Forwarded-For"
	f("first", 200, "hello", "GET", "/", auth, "Bearer good", xff, "192.0.2.1")
	resp := f("second", 429, "rate_limited", "GET", "/", auth, "Bearer good", xff, "192.0.2.1")
	if got := resp.Header.Get("Retry-After"); got != "1000" {
		t.Errorf("Retry-After %s", got)
	}
	f("before anybody looks at tokens", 429, "rate_limited", "GET", "/", xff, "192.0.2.1")
	f("a route without a rate of its own", 429, "rate_limited", "GET", "/large", auth, "Bearer good", xff, "192.0.2.1")
	f("another client", 200, "hello", "GET", "/", auth, "Bearer good", xff, "192.0.2.2")
	f("IPv6", 200, "hello", "GET", "/", auth, "Bearer good", xff, "2001:db8::1")
	f("of the same network", 429, "", "GET", "/", auth, "Bearer good", xff, "2001:db8::2")
	f("a route counts by itself", 200, "hello", "GET", "/owner", auth, "Bearer good", xff, "192.0.2.1")
	f("by owner, from elsewhere", 429, "", "GET", "/owner", auth, "Bearer good", xff, "192.0.2.3")
	f("another owner", 200, "hello bob", "GET", "/owner", auth, "Bearer other", xff, "192.0.2.3")
}

func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("hello ", 1000)
	s := setup{policy: "compress: {}"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		if r.URL.Path == "/short" {
			io.WriteString(w, "hello")
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		io.WriteString(w, text)
	})
	f := func(name, path string, packed bool, headers ...string) {
		t.Helper()
		resp, body := s.get(path, headers...)
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("%s: compressed %v", name, got)
			return
		}
		if packed {
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if string(plain) != text || err != nil || resp.Header.Get("Vary") == "" {
				t.Errorf("%s: %d bytes, %v", name, len(plain), err)
			}
		} else if body != text && body != "hello" {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
	const accept = "Accept-Encoding"
	f("JSON", "/?type=application/json", true, accept, "gzip")
	f("with a charset", "/?type=text/html;charset=utf-8", true, accept, "br, gzip;q=0.5")
	f("as browsers ask", "/?type=application/json", true, accept, "gzip, deflate, br, zstd")
	f("not asked for", "/?type=application/json", false)
	f("refused", "/?type=application/json", false, accept, "gzip;q=0")
	f("a picture", "/?type=image/png", false, accept, "gzip")
	f("a short one", "/short?type=application/json", false, accept, "gzip")
	f("a stream", "/?type=text/event-stream", false, accept, "gzip")
	f("a stream that is asked for", "/?type=text/plain", false, accept, "gzip", "Accept", "text/event-stream")
}

func TestAnswersMayBeTooLarge(t *testing.T) {
	t.Parallel()
	s := setup{policy: "max_response: 10B\ncompress: {min: 1B}"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/told" {
			w.Header().Set("Content-Length", "11")
		}
		w.Header().Set("X-Secret", "1")
		w.WriteHeader(201)
		if r.URL.Path == "/stream" {
			io.WriteString(w, "12345")
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, strings.Repeat("x", 10))
		if r.URL.Path != "/fits" {
			io.WriteString(w, "x")
		}
	})
	f := asks{s, t}.want
	f("fits", 201, "xxxxxxxxxx", "GET", "/fits")
	if h := f("told before", 500, "response_too_large", "GET", "/told").Header; h.Get("X-Secret") != "" {
		t.Errorf("%v", h)
	}
	c := s.dial()
	c.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
	if rest := c.rest(); strings.HasSuffix(rest, "0\r\n\r\n") || !strings.Contains(rest, "12345") {
		t.Errorf("a stream that is cut looks whole: %q", rest)
	}
}

func TestPoliciesThatMakeNoSense(t *testing.T) {
	f := func(policy, want string) {
		t.Helper()
		doc, problems := configs.Parse("p.yaml", []byte(policy), configs.Variables{})
		if len(problems) == 0 {
			problems = configs.Decode(doc, new(Policy))
		}
		var all []string
		for _, p := range problems {
			all = append(all, p.String())
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, want) || got == "" {
			t.Errorf("%s: %q, want %q", policy, got, want)
		}
		if strings.Contains(strings.Join(all, "\n"), "hunter2") {
			t.Errorf("a password is shown: %s", all)
		}
	}
	f("auth: {realm: x}", "lets nobody in")
	f("auth: {public: true, bearer: true}", "lets everybody in, and others too")
	f("auth: {basic: [{name: a}]}", "needs either hash or password")
	f("auth: {basic: [{name: a, hash: hunter2}]}", "is no bcrypt hash")
	f("auth: {basic: [{name: \"a:b\", password: hunter2}]}", "has a colon")
	f("auth: {basic: [{name: a, password: hunter2}, {name: a, password: hunter2}]}", "twice")
	f("cors: {origins: [\"*\"], credentials: true}", "every site")
	f("cors: {origins: [\"https://*example.com\"], credentials: true}", "anybody may have")
	f("cors: {origins: [\"https://*\"], credentials: true}", "anybody may have")
	f("cors: {origins: [example.com]}", "is no origin")
	f("rate_limit: {rate: 0}", "must be more than 0")
	f("rate_limit: {rate: 1, by: moon}", "neither client nor owner")
	f("routes: [{path: admin}]", "must begin with /")
	f("routes: [{path: /a/*/b}]", "must begin with /")
	f("routes: [{path: /a, methods: [get]}]", "not in capitals")
	f("allow: [10.0.0.1/8]", "it begins at 10.0.0.0/8")
	f("allow: [example.com]", "is not an address")
}

func TestAGuardNeedsTheStore(t *testing.T) {
	s := setup{}.start(t, hello)
	p := decoded[Policy](t, "routes: [{path: /, auth: {bearer: true}}]")
	if _, err := s.Guard(&p); err == nil || !strings.Contains(err.Error(), "token store") {
		t.Error(err)
	}
}
