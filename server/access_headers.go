package server

import (
	"net/http"
	"regexp"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// guarded stands before everything: it sets the headers of all answers, and refuses
// tokens in addresses.
func (s *Server) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		safeHeaders(w, r)
		if secretInURL.MatchString(r.URL.Path) || secretInURL.MatchString(r.URL.RawQuery) || r.URL.Query().Has("access_token") {
			writeFault(w, r, &api.Fault{
				Status: http.StatusBadRequest, Code: "token_in_url",
				Message: "a token must not stand in an address: logs, histories and other sites get to see those. Send it as Authorization: Bearer rpt_…, and make a new one in place of this: rpipe token revoke takes the secret, too",
			})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// secretInURL is a token's secret, as tokens.Store makes it, or the beginning of one.
var secretInURL = regexp.MustCompile(`rpt_[0-9A-Za-z]{20,}`)

// foreign stands before what answers under this address and is not the server's own, such
// as a plumber API: the headers are its own business, and it does not get the cookie that
// opens the server.
func foreign(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		for _, name := range ownHeaders {
			header.Del(name)
		}
		session.Strip(r)
		h.ServeHTTP(w, r)
	})
}

// ownHeaders are those that would change what pages of others may do.
var ownHeaders = []string{
	"Content-Security-Policy", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy", "X-Content-Type-Options",
}

// safeHeaders are those of all answers of the server itself: nothing in them is to be
// run, framed, guessed at or told to other sites.
func safeHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.TLS != nil || exchange.Of(r.Context()).Scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// pageHeaders are those of pages: scripts, styles, pictures and data are the server's
// own, in files of their own.
func pageHeaders(w http.ResponseWriter, r *http.Request) {
	safeHeaders(w, r)
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
}
