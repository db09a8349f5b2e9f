package proxy

import (
	"fmt"
	"net/http"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/tokens"
)

// listen takes the addresses, so that a port that is taken is said before R is
// started.
func (s *Server) listen() error {
	store, err := s.openTokens()
	if err != nil {
		return err
	}
	s.tokens = store
	s.metrics = metrics.New()
	s.metrics.SetVersion(s.version)
	s.recorder = admin.NewRecorder(s.file.Admin.Errors)
	if err := s.metrics.Prometheus().Register(s.recorder); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	s.admin = admin.New(admin.Options{
		Config: s.file.Admin, Source: s, Recorder: s.recorder, Metrics: s.metrics.Handler(), Tokens: store, Log: s.log,
	})
	deps := front.Deps{Tracer: s.tracer, Untraced: untraced, Log: s.log, Access: s.file.Log, Observer: s.recorder, Fault: s.faults, Dir: s.file.Dir()}
	if store != nil {
		deps.Tokens = store
	}
	s.front, err = front.New(s.file.Listen, deps)
	if err != nil {
		return err
	}
	if s.file.Admin.Listen == "" {
		return nil
	}
	if s.adminOn, err = s.file.Admin.Bind(s.ctx, store); err != nil {
		return err
	}
	s.adminAddr = s.adminOn.Addr()
	return nil
}

// openTokens opens the token store of the file.
func (s *Server) openTokens() (*tokens.Store, error) {
	path := s.file.Admin.Tokens
	if path == "" {
		var err error
		if path, err = tokens.DefaultPath(); err != nil {
			s.log.Debug("no token store", "error", err)
			return nil, nil
		}
	} else {
		path = below(s.file.Dir(), path)
	}
	store, err := tokens.Open(path)
	if err != nil {
		return nil, fmt.Errorf("admin.tokens: %w", err)
	}
	return store, nil
}

// serve starts to answer.
func (s *Server) serve() {
	var handler http.Handler = s.mount
	if s.adminOn == nil {
		handler = s.admin.Before(handler)
	} else {
		l := s.adminOn
		s.adminOn = nil // Serve closes it
		s.tasks.Go(func() {
			if err := s.admin.Serve(s.ctx, l); err != nil {
				s.log.Error("the pages of /__rpipe__/ are not served any more", "error", err)
			}
		})
	}
	if s.async != nil {
		handler = s.async.Before(handler)
		s.async.Serve()
	}
	s.tasks.Go(func() {
		if err := s.front.Serve(s.ctx, handler); err != nil {
			s.cancel(err)
		}
	})
}

// guarded is an API with what stands before it.
func (m *Mount) guarded(a *api) (http.Handler, error) {
	guard, err := m.front.Guard(&a.config.Policy)
	if err != nil {
		return nil, err
	}
	a.bare = a.dispatch(m.faults)
	within := a.bare
	if m.o.around != nil {
		within = m.o.around(a.config.Name, a.config.prefix(), a.bare)
	}
	a.behind = guard(within)
	inner := a.config.strip(a.behind)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer m.o.Recorder.Begin(a.config.Name)()
		inner.ServeHTTP(w, r)
	}), nil
}
