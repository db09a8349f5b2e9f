package proxy

import (
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/async"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// openAsync opens the store of requests that are answered later.
func (s *Server) openAsync(ackWait time.Duration) (err error) {
	c := s.file.Async
	if c == nil {
		return nil
	}
	s.async, err = async.Open(s.ctx, async.Options{
		Config: c, Dir: below(s.file.Dir(), c.Dir), Log: s.log, Fault: s.faults, AckWait: ackWait,
		Run:     s.later(func(a *api) http.Handler { return a.bare }),
		Guarded: s.later(func(a *api) http.Handler { return a.behind }),
	})
	return err
}

// later answers with a part of the newest code of an API.
func (s *Server) later(part func(*api) http.Handler) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, name string) {
		for {
			at := s.mount.router.site.Load()
			c := at.slot(name)
			switch {
			case c == nil:
				s.faults.Write(w, r, fault.New(http.StatusNotFound, "no_api", "the API of this request is not served any more"))
				return
			case c.api != nil && c.api.gate.enter():
				func() {
					defer c.api.gate.leave()
					exchange.Of(r.Context()).API = name
					part(c.api).ServeHTTP(w, r)
				}()
				return
			case s.mount.router.site.Load() == at:
				s.faults.Write(w, r, fault.ErrDraining)
				return
			}
			// A reload has just replaced it.
		}
	}
}
