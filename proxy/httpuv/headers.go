package httpuv

import (
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// hopByHop are the headers that end at each server on the way.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func stripHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
}

// requestHeader is what a worker gets of r's headers; it knows the request by token.
func (t *Transport) requestHeader(r *http.Request, x *exchange.Exchange, token string) http.Header {
	h := r.Header.Clone()
	stripHopByHop(h)
	h.Del("Expect")        // answered here already
	h.Del("Rpipe-Control") // ours alone
	dropLookalikes(h)
	if cookies := h["Cookie"]; len(cookies) > 1 {
		h.Set("Cookie", strings.Join(cookies, "; ")) // httpuv would join them with a comma
	}
	addr, port := client(r, x)
	host, hostPort, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, hostPort = r.Host, "80"
		if x.Scheme == "https" {
			hostPort = "443"
		}
	}
	scheme := x.Scheme
	if scheme == "" {
		scheme = "http"
	}
	h.Set("Rpipe-Client", strings.Join([]string{addr, port, scheme, host, hostPort, token}, " "))
	h.Set("X-Forwarded-For", addr)
	h.Set("X-Forwarded-Proto", scheme)
	h.Set("X-Forwarded-Host", r.Host)
	h.Del("X-Forwarded-Prefix")
	if t.o.Prefix != "" {
		h.Set("X-Forwarded-Prefix", t.o.Prefix)
	}
	if x.ID != "" {
		h.Set("X-Request-Id", x.ID)
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // or net/http would name itself
	}
	return h
}

// dropLookalikes drops headers with underscores that R cannot tell from those that
// are written here: HTTP_RPIPE_CONTROL is Rpipe-Control and Rpipe_Control.
func dropLookalikes(h http.Header) {
	for name := range h {
		if !strings.Contains(name, "_") {
			continue
		}
		as := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if strings.HasPrefix(as, "Rpipe-") || strings.HasPrefix(as, "X-Forwarded-") || as == "X-Request-Id" {
			delete(h, name)
		}
	}
}

// client is who asks: as the front has found out, or else the other end of the
// connection.
func client(r *http.Request, x *exchange.Exchange) (addr, port string) {
	host, p, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host, p = "", ""
	}
	if x.Client.IsValid() {
		host, p = x.Client.String(), x.Port
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if p == "" {
		p = "0"
	}
	return host, p
}
