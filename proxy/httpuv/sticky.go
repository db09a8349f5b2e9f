package httpuv

import (
	"net/http"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// preferred is the worker that a request belongs to: the one that Shiny has
// written into the URL of a session, else that of the cookie; "" for any.
func (t *Transport) preferred(r *http.Request) string {
	c := t.o.Config
	if c.Kind == Shiny && strings.HasPrefix(r.URL.Path, "/session/") && strings.Contains(r.URL.RawQuery, "w=") {
		if id := r.URL.Query().Get("w"); t.crew.knows(id) {
			return id
		}
	}
	if !c.sticky() {
		return ""
	}
	// A browser sends the cookies of all paths that fit.
	for _, cookie := range r.CookiesNamed(c.Cookie) {
		if t.crew.knows(cookie.Value) {
			return cookie.Value
		}
	}
	return ""
}

func (c *crew) knows(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return id != "" && c.find(id) != nil
}

// stick writes the cookie for a browser that has no worker yet, or another.
func (t *Transport) stick(h http.Header, x *exchange.Exchange, asked, got string) {
	if !t.o.Config.sticky() || asked == got {
		return
	}
	cookie := http.Cookie{
		Name: t.o.Config.Cookie, Value: got, Path: t.o.Prefix + "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: x.Scheme == "https",
	}
	h.Add("Set-Cookie", cookie.String())
}
