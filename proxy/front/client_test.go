package front

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// who answers with who asks, as R and the log will see it.
func who(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	addr := r.RemoteAddr
	if i := strings.LastIndex(addr, ":"); i >= 0 { // less the port
		addr = addr[:i]
	}
	fmt.Fprintf(w, "%s %s | %s %s %s", x.Client, x.Scheme, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), addr)
}

func TestTheClientBehindProxies(t *testing.T) {
	t.Parallel()
	nobody := setup{}.start(t, who)
	proxied := setup{listen: "trusted_proxies: [127.0.0.1, 10.0.0.0/8]"}.start(t, who)
	rfc := setup{listen: "trusted_proxies: [loopback, 10.0.0.0/8]\nforwarded_header: forwarded"}.start(t, who)
	f := func(name string, s *site, want string, headers ...string) {
		t.Helper()
		if _, got := s.get("/", headers...); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	const xff, proto = "X-Forwarded-For", "X-Forwarded-Proto"
	f("no proxy", nobody, "127.0.0.1 http | 127.0.0.1 http 127.0.0.1")
	f("spoofed", nobody, "127.0.0.1 http | 127.0.0.1 http 127.0.0.1", xff, "1.2.3.4", proto, "https", "Forwarded", "for=1.2.3.4")
	f("spoofed by Connection", nobody, "127.0.0.1 http | 127.0.0.1 http 127.0.0.1", xff, "1.2.3.4", "Connection", xff)
	f("one proxy", proxied, "1.2.3.4 https | 1.2.3.4, 127.0.0.1 https 1.2.3.4", xff, "1.2.3.4", proto, "https")
	f("what the client said of itself is dropped", proxied, "1.2.3.4 http | 1.2.3.4, 127.0.0.1 http 1.2.3.4", xff, "6.6.6.6, 1.2.3.4")
	f("two lines", proxied, "1.2.3.4 http | 1.2.3.4, 10.1.1.1, 127.0.0.1 http 1.2.3.4", xff, "1.2.3.4", xff, "10.1.1.1")
	f("two proxies, one proto each", proxied, "1.2.3.4 https | 1.2.3.4, 10.1.1.1, 127.0.0.1 https 1.2.3.4", xff, "6.6.6.6, 1.2.3.4, 10.1.1.1", proto, "http, https, http")
	f("nonsense ends it", proxied, "10.1.1.1 http | 10.1.1.1, 127.0.0.1 http 10.1.1.1", xff, "1.2.3.4, unknown, 10.1.1.1")
	f("with a port", proxied, "1.2.3.4 http | 1.2.3.4:99, 127.0.0.1 http 1.2.3.4", xff, "1.2.3.4:99")
	f("IPv6", proxied, "2001:db8::1 http | 2001:db8::1, 127.0.0.1 http [2001:db8::1]", xff, "2001:db8::1")
	f("IPv4 as IPv6", proxied, "1.2.3.4 http | ::ffff:1.2.3.4, 127.0.0.1 http 1.2.3.4", xff, "::ffff:1.2.3.4")
	f("Forwarded where another is expected", proxied, "127.0.0.1 http | 127.0.0.1 http 127.0.0.1", "Forwarded", "for=1.2.3.4")
	f("Forwarded", rfc, "2001:db8::1 https | 127.0.0.1 https [2001:db8::1]", "Forwarded", `for=6.6.6.6, for="[2001:db8::1]:47";proto=https, For=10.1.1.1`)
	f("Forwarded, hidden", rfc, "127.0.0.1 http | 127.0.0.1 http 127.0.0.1", "Forwarded", "for=_secret", xff, "1.2.3.4")
}

// Who is relayed is nobody of this machine: not where the proxy is not trusted, nor
// where it names nobody, nor where the client has the proxy's word dropped.
func TestWhoIsRelayed(t *testing.T) {
	t.Parallel()
	relayed := func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		fmt.Fprintf(w, "%s %v %s", x.Client, x.Relayed, r.Header.Get("X-Forwarded-Email"))
	}
	nobody := setup{}.start(t, relayed)
	proxied := setup{listen: "trusted_proxies: loopback"}.start(t, relayed)
	rfc := setup{listen: "trusted_proxies: loopback\nforwarded_header: forwarded"}.start(t, relayed)
	f := func(name string, s *site, want string, headers ...string) {
		t.Helper()
		if _, got := s.get("/", headers...); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	const xff = "X-Forwarded-For"
	f("direct", nobody, "127.0.0.1 false ", "X-Forwarded-Email", "root@a")
	f("not trusted", nobody, "127.0.0.1 true ", xff, "1.2.3.4")
	f("not trusted, its word dropped", nobody, "127.0.0.1 true ", xff, "1.2.3.4", "Connection", "close, x-forwarded-for")
	f("trusted, its word dropped", proxied, "1.2.3.4 false ", xff, "1.2.3.4", "Connection", "X-Forwarded-For")
	f("trusted, and of this machine", proxied, "127.0.0.1 false ann@a", xff, "127.0.0.1", "X-Forwarded-Email", "ann@a")
	f("trusted, in another header", proxied, "127.0.0.1 true ", "X-Real-Ip", "1.2.3.4")
	f("trusted, nonsense", proxied, "127.0.0.1 true ", xff, "unknown")
	f("trusted, the header that is not read", rfc, "127.0.0.1 true ", xff, "1.2.3.4")
	f("trusted, by RFC 7239", rfc, "1.2.3.4 false ", "Forwarded", "for=1.2.3.4")
	f("a zone that would look like more of a log line", proxied, "fe80::1 false ", xff, `fe80::1% - - "GET`)
}

func TestHeadersOfOneHopGoNoFurther(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.Header().Set("Keep-Alive", "timeout=9")
		w.Header().Set("Transfer-Encoding", "gzip")
		w.Header().Set("Connection", "X-Inner")
		w.Header().Set("X-Inner", "1")
		w.Header().Set("X-Outer", "1")
	})
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, x-hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nKeep-Alive: 1\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Real-IP: 6.6.6.6\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n")
	h := <-seen
	for _, name := range []string{"Connection", "X-Hop", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "X-Real-Ip"} {
		if h[name] != nil {
			t.Errorf("%s: %q", name, h[name])
		}
	}
	if got := h["Cookie"]; len(got) != 1 || got[0] != "a=1; b=2" {
		t.Errorf("cookies %q", got)
	}
	resp, _ := c.answer()
	for _, name := range []string{"Keep-Alive", "X-Inner", "Connection"} {
		if resp.Header[name] != nil {
			t.Errorf("answer has %s", name)
		}
	}
	if resp.Header.Get("X-Outer") != "1" || resp.TransferEncoding != nil {
		t.Errorf("%v %v", resp.Header, resp.TransferEncoding)
	}

	c.send("GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_User: root\r\nX_Forwarded-For: 6.6.6.6\r\nRpipe_Control: leave 1\r\nContent_Length: 7\r\nX-Mine: 1\r\nX_Mine: 2\r\nApi_Key: k\r\n\r\n")
	h = <-seen
	if _, body := c.answer(); body != "" {
		t.Errorf("body %q", body)
	}
	for name := range h {
		if strings.Contains(name, "_") && name != "Api_key" {
			t.Errorf("%s: R cannot tell it from another header", name)
		}
	}
	if h["Api_key"] == nil || h.Get("X-Mine") != "1" {
		t.Errorf("headers %v", h)
	}

	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if h := <-seen; h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" {
		t.Errorf("a websocket's headers: %v", h)
	}
	c.answer()
	// What has a body is no websocket's beginning; it would go past the limits on bodies.
	c.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab")
	if h := <-seen; h["Upgrade"] != nil {
		t.Errorf("headers of a body: %v", h)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := setup{listen: "trusted_proxies: [loopback]"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Request-Id"))
	})
	f := func(sent string, taken bool) {
		t.Helper()
		resp, got := s.get("/", "X-Request-Id", sent)
		if got != resp.Header.Get("X-Request-Id") || got == "" || (got == sent) != taken {
			t.Errorf("%q: R saw %q, the client %q", sent, got, resp.Header.Get("X-Request-Id"))
		}
	}
	f("0af7651916cd43dd8448eb211c80319c", true)
	f("a/b:c+d=e@f.g_h-1", true)
	f("", false)
	f("with space", false)
	f(`quote"`, false)
	f(strings.Repeat("x", 129), false)
}
