package front

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// hopByHop are the headers that are meant for the next hop alone, RFC 9110 §7.6.1,
// and what old clients send.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// cleanRequest takes out what is of this hop. An upgrade to a websocket stays, any
// other is ignored, as RFC 9110 §7.8 allows: httpuv hangs up on h2c.
func cleanRequest(r *http.Request) {
	upgrade := r.ProtoMajor == 1 && r.Method == http.MethodGet && r.ContentLength == 0 && isWebsocket(r.Header)
	strip(r.Header)
	dropAliases(r.Header)
	if upgrade {
		r.Header["Connection"] = []string{"Upgrade"}
		r.Header["Upgrade"] = []string{"websocket"}
	}
	if cookies := r.Header["Cookie"]; len(cookies) > 1 { // R would join them by commas
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
}

// dropAliases removes headers that R code could not tell from others: as variables of
// the request, X_Forwarded_User and X-Forwarded-User are both HTTP_X_FORWARDED_USER,
// and the last wins. What a front or a proxy says is not for clients to say.
func dropAliases(h http.Header) {
	for name := range h {
		if !strings.Contains(name, "_") {
			continue
		}
		alias := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		switch {
		case h[alias] != nil, saysWho(alias), alias == "Content-Type", alias == "Content-Length",
			strings.HasPrefix(alias, "Rpipe-"): // by these the transports speak to R
			delete(h, name)
		}
	}
}

// strip removes the headers of a hop, those that Connection names among them: but
// not a proxy's word of who asks, which a client could have dropped by naming it
// where the proxy passes Connection on.
func strip(h http.Header) {
	for _, named := range members(h["Connection"]) {
		if name := textproto.CanonicalMIMEHeaderKey(named); !saysWho(name) {
			delete(h, name)
		}
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
// have, and allowances to other origins: all of them where cors has said which
// there are, and else those that are said twice.
func cleanResponse(h http.Header, status int, cors http.Header) {
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
	if cors != nil {
		for name := range h {
			if slices.Contains(allowances, textproto.CanonicalMIMEHeaderKey(name)) {
				delete(h, name)
			}
		}
		maps.Copy(h, cors)
		return
	}
	for _, name := range allowances {
		if v := h[name]; len(v) > 1 {
			h[name] = v[:1]
		}
	}
}

// allowances are what lets pages of other origins read an answer.
var allowances = []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"}

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
