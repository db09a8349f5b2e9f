package front

import (
	"crypto/rand"
	"net/http"
	"net/textproto"
	"strings"
)

// hopByHop are the headers that are meant for the next hop alone, RFC 9110 §7.6.1,
// and what old clients send.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// cleanRequest takes out what is of this hop. An upgrade to a websocket stays, any
// other is ignored, as RFC 9110 §7.8 allows: httpuv hangs up on h2c.
func cleanRequest(r *http.Request) {
	upgrade := r.ProtoMajor == 1 && isWebsocket(r.Header)
	strip(r.Header)
	if upgrade {
		r.Header["Connection"] = []string{"Upgrade"}
		r.Header["Upgrade"] = []string{"websocket"}
	}
	if cookies := r.Header["Cookie"]; len(cookies) > 1 { // R would join them by commas
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
}

// strip removes the headers of a hop, those that Connection names among them.
func strip(h http.Header) {
	for _, named := range members(h["Connection"]) {
		delete(h, textproto.CanonicalMIMEHeaderKey(named))
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

func isWebsocket(h http.Header) bool {
	return hasToken(h["Connection"], "upgrade") && hasToken(h["Upgrade"], "websocket")
}

func hasToken(values []string, token string) bool {
	for _, one := range members(values) {
		if strings.EqualFold(one, token) {
			return true
		}
	}
	return false
}

// cleanResponse takes out what R code says about a connection that it does not
// have, and allowances to other origins that are said twice.
func cleanResponse(h http.Header, status int) {
	if status != http.StatusSwitchingProtocols {
		end, trailer := hasToken(h["Connection"], "close"), h["Trailer"]
		strip(h)
		if trailer != nil { // net/http announces them to the next hop itself
			h["Trailer"] = trailer
		}
		if end {
			h["Connection"] = []string{"close"}
		}
	}
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
		if v := h[name]; len(v) > 1 {
			h[name] = v[:1]
		}
	}
}

// sane reports whether an id can stand in logs and headers as it is.
func sane(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.:/+=@", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// newID is one of 2^130.
func newID() string { return rand.Text() }
