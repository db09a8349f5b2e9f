package session

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// Prefix begins the names of all cookies of this package, after __Host- where there is
// TLS.
const Prefix = "rpipe_session"

// cookieName has the port in it, since browsers give cookies of one port of a host to
// all others. __Host- makes them refuse a cookie that was not set over TLS, by this host,
// for all its paths (draft-ietf-httpbis-rfc6265bis, 4.1.3.2).
func cookieName(r *http.Request) string {
	name := Prefix
	if _, port, err := net.SplitHostPort(r.Host); err == nil && port != "" {
		name += "_" + strings.Map(digits, port)
	}
	if secure(r) {
		return "__Host-" + name
	}
	return name
}

func digits(c rune) rune {
	if c < '0' || c > '9' {
		return -1
	}
	return c
}

// secure reports whether the client speaks TLS, with us or with a proxy that is trusted.
func secure(r *http.Request) bool {
	return r.TLS != nil || exchange.Of(r.Context()).Scheme == "https"
}

func setCookie(w http.ResponseWriter, r *http.Request, secret []byte, lifetime time.Duration) {
	c := cookie(r, base64.RawURLEncoding.EncodeToString(secret))
	if lifetime > 0 {
		c.MaxAge = max(1, int(lifetime/time.Second))
	}
	http.SetCookie(w, c)
}

func clearCookie(w http.ResponseWriter, r *http.Request) {
	c := cookie(r, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// cookie is Lax: a link in a mail or a chat leads to the page, not to the log-in. What
// changes something needs the CSRF token besides.
func cookie(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, Secure: secure(r), SameSite: http.SameSiteLaxMode,
	}
}

// secretOf is what the request's cookie holds. Two cookies of the name are none: the
// second was planted.
func secretOf(r *http.Request) ([]byte, bool) {
	cookies := r.CookiesNamed(cookieName(r))
	if len(cookies) != 1 {
		return nil, false
	}
	secret, err := base64.RawURLEncoding.DecodeString(cookies[0].Value)
	return secret, err == nil && len(secret) == 32
}

// Strip takes the cookies of this package out of a request, before code that is not the
// server's own sees it.
func Strip(r *http.Request) {
	cookies := r.Cookies()
	if len(cookies) == 0 {
		return
	}
	var kept []string
	for _, line := range r.Header["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			name, _, _ := strings.Cut(part, "=")
			if part != "" && !strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(name), "__Host-"), Prefix) {
				kept = append(kept, part)
			}
		}
	}
	r.Header.Del("Cookie")
	if len(kept) > 0 {
		r.Header.Set("Cookie", strings.Join(kept, "; "))
	}
}
