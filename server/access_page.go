package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

type insider struct{}

// asInsider is ctx of requests that the server's own pages send to the API in process,
// as who asks for the page: he is known, and so is that it was his page which sent them.
func asInsider(ctx context.Context, w *who) context.Context {
	return context.WithValue(ctx, insider{}, w)
}

// insiderOf is who asks for a page; nil for requests that came from outside.
func insiderOf(ctx context.Context) *who {
	w, _ := ctx.Value(insider{}).(*who)
	return w
}

// page stands before the pages for people. It finds out who asks, of which h may be
// sure, leads to the log-in who is nobody, refuses what other sites have a browser send,
// and sets the headers of pages. API requests with the context that h gets are asked as
// the same client; its forms send session.Token(r) along.
func (s *Server) page(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pageHeaders(w, r)
		asks, err := s.access.identify(r)
		if err != nil {
			var f *api.Fault
			if errors.As(err, &f) && f.Status == http.StatusUnauthorized && s.sessions != nil {
				toLogin(w, r)
				return
			}
			writeFault(w, r, err)
			return
		}
		exchange.Of(r.Context()).Owner = asks.Owner
		r.Body = http.MaxBytesReader(w, r.Body, int64(s.limits.Load().Body))
		ctx := asInsider(r.Context(), asks)
		if asks.session != nil {
			ctx = session.With(ctx, asks.session)
		}
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// toLogin leads to the log-in and, after it, back to the page.
func toLogin(w http.ResponseWriter, r *http.Request) {
	to := "/login"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// nextPage is where a log-in leads: a page of this server, or its first page. What a
// browser could take for another host is none of ours.
func nextPage(next string) string {
	const first = "/ui/"
	u, err := url.Parse(next)
	switch {
	case err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "",
		!strings.HasPrefix(next, "/ui/"), strings.ContainsAny(next, "\\\r\n\t"), strings.Contains(u.Path, "//"),
		strings.Contains(u.Path, "/../"), strings.HasSuffix(u.Path, "/.."):
		return first
	}
	return u.RequestURI()
}
