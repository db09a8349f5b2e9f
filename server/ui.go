package server

import (
	"context"
	"net/http"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/server/dashboard"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tasks"
)

// openDashboard makes the pages, and tells them of changes. It comes after the series,
// which are told of the same.
func (s *Server) openDashboard() error {
	if s.file.Dashboard.None {
		return nil
	}
	s.dashboard = dashboard.New(dashboard.Options{
		Config: s.file.Dashboard, API: http.HandlerFunc(s.askInside), Version: s.version, Log: s.log.With("part", "dashboard"),
		Who: whoOf, Last: s.lastForPage,
	})
	_, stop := s.index.Subscribe(func(t *tasks.Task) bool {
		s.dashboard.Changed("tasks", t.Owner)
		return false // nothing is sent: pages learn that something has changed, not what
	})
	context.AfterFunc(s.ctx, stop)
	context.AfterFunc(s.soft, s.dashboard.Close)
	return nil
}

// handleDashboard adds the pages to what is served. inner answers what they ask the API.
func (s *Server) handleDashboard(mux, inner *http.ServeMux, guard func(http.Handler) http.Handler) {
	if s.dashboard == nil {
		return
	}
	s.inner = inner
	mux.Handle("/ui/", guard(s.page(s.dashboard)))
	mux.Handle("GET /{$}", http.RedirectHandler("/ui/", http.StatusSeeOther))
	mux.Handle("GET /ui", http.RedirectHandler("/ui/", http.StatusSeeOther))
}

// askInside answers a page's request to the API. It has an exchange of its own, so that
// the page's is logged as the page's.
func (s *Server) askInside(w http.ResponseWriter, r *http.Request) {
	x := *exchange.Of(r.Context())
	s.inner.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &x)))
}

// whoOf is who asks for a page, as page has found out.
func whoOf(r *http.Request) dashboard.Who {
	asks := insiderOf(r.Context())
	if asks == nil {
		return dashboard.Who{}
	}
	w := dashboard.Who{Owner: asks.Owner, Logout: asks.session != nil}
	if asks.session != nil {
		w.Token = session.Token(r)
	}
	for _, scope := range asks.scopes {
		w.Scopes = append(w.Scopes, string(scope))
	}
	return w
}

// lastForPage takes a place for a page's stream of events.
func (s *Server) lastForPage(r *http.Request) (context.Context, func(), error) {
	return s.last(r, insiderOf(r.Context()))
}
