package admin

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tokens"
)

func store(t *testing.T) *tokens.Store {
	t.Helper()
	s, err := tokens.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func secret(t *testing.T, s *tokens.Store, scope tokens.Scope) string {
	t.Helper()
	secret, _, err := s.Create("ana", []tokens.Scope{scope}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestWhoMaySeeTheStatus(t *testing.T) {
	s := store(t)
	a, _ := newAdmin(t, &fixed{snap: serving()}, s)
	read, admin, proxy := secret(t, s, tokens.Read), secret(t, s, tokens.Admin), secret(t, s, tokens.Proxy)
	revoked := secret(t, s, tokens.Read)
	s.Revoke(revoked)
	name, _ := os.Hostname()

	f := func(want int, peer, target string, header ...string) {
		t.Helper()
		for _, path := range []string{"status", "metrics", "nothing"} {
			want := want
			if path == "nothing" && want == 200 {
				want = 404
			}
			w := ask(a, peer, "GET", target+"/__rpipe__/"+path, header...)
			if w.Code != want {
				t.Errorf("%s of %s at %s with %q: %d, want %d", path, peer, target, header, w.Code, want)
			}
			if w.Code == 401 && (len(w.Result().Header["Www-Authenticate"]) != 2 || strings.Contains(w.Body.String(), "shop")) {
				t.Errorf("%v %s", w.Header(), w.Body)
			}
		}
	}
	// By where they are.
	f(200, here, host)
	f(200, "[::1]:1", "http://[::1]:3000")
	f(200, "127.8.9.10:1", "http://127.0.0.1")
	f(200, "[::ffff:127.0.0.1]:1", "http://app.localhost")
	f(200, here, "http://"+name+":3000")
	f(401, outside, host)
	f(401, "[2001:db8::1]:1", host)
	f(401, "192.168.1.5:1", host)
	f(401, "@", host)
	f(401, "", host)

	// Whoever says that he is local is not believed, nor who comes by a proxy that is.
	f(401, outside, host, "X-Forwarded-For", "127.0.0.1")
	f(401, outside, host, "Forwarded", "for=127.0.0.1")
	f(401, outside, host, "X-Real-IP", "::1")
	f(401, here, host, "X-Forwarded-For", "203.0.113.9")
	f(401, here, host, "X-Forwarded-For", "127.0.0.1, 203.0.113.9")
	f(401, here, host, "X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "127.0.0.1")
	f(401, here, host, "X-Forwarded-For", "unknown")
	f(401, here, host, "X-Real-IP", "203.0.113.9")
	f(401, here, host, "Forwarded", `for="_hidden"`)
	f(401, here, host, "Via", "1.1 cache")
	f(200, here, host, "X-Forwarded-For", "127.0.0.1, ::1")

	// A name of another site that leads here.
	f(401, here, "http://evil.example:3000")
	f(401, here, "http://127.0.0.1.evil.example")
	f(401, here, "http://localhost.evil.example")
	f(401, here, "http://203.0.113.9")

	// By token.
	f(200, outside, "http://shop.example", "Authorization", "Bearer "+read)
	f(200, outside, "http://shop.example", "Authorization", "bearer  "+admin)
	f(401, outside, host, "Authorization", "Bearer "+proxy)
	f(401, outside, host, "Authorization", "Bearer "+revoked)
	f(401, outside, host, "Authorization", "Bearer ")
	f(401, outside, host, "Authorization", read)
	login := httptest.NewRequest("GET", host, nil)
	login.SetBasicAuth("anybody", read)
	f(200, outside, "http://shop.example", "Authorization", login.Header.Get("Authorization"))
	login.SetBasicAuth(read, "")
	f(401, outside, host, "Authorization", login.Header.Get("Authorization"))
}

// TestBehindAFrontItsWordCounts: the front has replaced the headers and the
// address by what it believes.
func TestBehindAFrontItsWordCounts(t *testing.T) {
	a, _ := newAdmin(t, &fixed{snap: serving()}, nil)
	f := func(peer, client string, relayed bool, want int) {
		t.Helper()
		r := httptest.NewRequest("GET", host+"/__rpipe__/status", nil)
		r.RemoteAddr = client + ":1"
		r.Header.Set("X-Forwarded-For", client)
		x := &exchange.Exchange{ID: "1", Client: netip.MustParseAddr(client), Relayed: relayed}
		x.Peer, _ = netip.ParseAddr(peer)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
		if w.Code != want {
			t.Errorf("%s by %s: %d, want %d", client, peer, w.Code, want)
		}
	}
	f("127.0.0.1", "127.0.0.1", false, 200)
	f("127.0.0.1", "127.0.0.1", true, 401)    // by a proxy here that is not trusted
	f("127.0.0.1", "203.0.113.9", false, 401) // by one that is
	f("10.0.0.5", "127.0.0.1", false, 401)    // a trusted one elsewhere says so
	f("", "127.0.0.1", false, 401)            // on a Unix socket
}

func TestAProxyOnThisMachineIsNotAllItsClients(t *testing.T) {
	a, rec := newAdmin(t, &fixed{snap: serving()}, nil)
	f := func(listen string, want int, header ...string) {
		t.Helper()
		url, stop := serve(t, listen, rec, a.Before(http.NotFoundHandler()))
		defer stop()
		if resp := get(t, url+"/__rpipe__/status", header...); resp.StatusCode != want {
			t.Errorf("%s %q: %d, want %d", listen, header, resp.StatusCode, want)
		}
	}
	f("", 200)
	f("", 401, "X-Forwarded-For", "203.0.113.9")
	f("", 401, "X-Real-IP", "203.0.113.9")
	f("", 401, "Forwarded", "for=203.0.113.9")
	f("", 401, "Via", "1.1 cache")
	f("trusted_proxies: [loopback]", 401, "X-Forwarded-For", "203.0.113.9")
	f("trusted_proxies: [loopback]", 401, "X-Forwarded-For", "127.0.0.1, 203.0.113.9")
	f("trusted_proxies: [loopback]", 200, "X-Forwarded-For", "127.0.0.1")
	f("trusted_proxies: [loopback]", 200)
}

func TestNobodyIsLocalWhereTheConfigurationSaysSo(t *testing.T) {
	s := store(t)
	a := New(Options{Config: Config{Local: false}, Source: &fixed{snap: serving()}, Recorder: NewRecorder(0), Tokens: s})
	if w := ask(a, here, "GET", host+"/__rpipe__/status"); w.Code != 401 {
		t.Error(w.Code)
	}
	if w := ask(a, here, "GET", host+"/__rpipe__/status", "Authorization", "Bearer "+secret(t, s, tokens.Read)); w.Code != 200 {
		t.Error(w.Code)
	}
	if w := ask(a, here, "GET", host+"/__rpipe__/health"); w.Code != 200 {
		t.Error(w.Code)
	}
}

func TestNoOtherPathIsTouched(t *testing.T) {
	a, _ := newAdmin(t, &fixed{snap: serving()}, nil)
	h := a.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(w.Header()) != 0 {
			t.Errorf("%s: %v", r.URL, w.Header())
		}
		w.WriteHeader(299)
	}))
	f := func(method, path string, want int) {
		t.Helper()
		if w := ask(h, outside, method, "http://shop.example"+path); w.Code != want {
			t.Errorf("%s %s: %d, want %d", method, path, w.Code, want)
		}
	}
	for _, path := range []string{"/", "/__rpipe__", "/__rpipe__x/status", "/x/__rpipe__/status", "/__docs__/", "/health", "/metrics", "/__RPIPE__/status"} {
		f("GET", path, 299)
	}
	f("POST", "/health", 299)
	for _, path := range []string{"/__rpipe__/", "/__rpipe__/status", "/__rpipe__/x/y", "/%5F_rpipe__/status", "/__rpipe__/../status"} {
		f("GET", path, 401)
	}
	f("POST", "/__rpipe__/health", 405)
	f("DELETE", "/__rpipe__/status", 405)
}
