package proxy

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// site is what the proxy serves at one moment: an API each, and what stands in
// place of one that has never come up. It never changes; a reload makes another.
type site struct {
	file *File
	apis []*slot
}

// slot is the place of one API.
type slot struct {
	config *API
	api    *api      // nil while there is none that works
	broken error     // why the newest code does not work; nil where it does
	tried  time.Time // the newest code was loaded, with what came of it
}

// find is the slot that a request is for, the longest prefix first.
func (s *site) find(r *http.Request) *slot {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	var best *slot
	longest := -1
	for _, c := range s.apis {
		if n, ok := c.config.match(host, r.URL.Path); ok && n > longest {
			best, longest = c, n
		}
	}
	return best
}

// router hands requests to the API they are for.
type router struct {
	site    atomic.Pointer[site]
	faults  fault.Writer
	browser bool // in development: a browser is shown what is wrong with the newest code
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for {
		at := rt.site.Load()
		s := at.find(r)
		switch {
		case s == nil:
			rt.faults.Write(w, r, fault.New(http.StatusNotFound, "no_api", "no API is served at this path"))
			return
		case s.api == nil, s.broken != nil && rt.browser && navigates(r):
			exchange.Of(r.Context()).API = s.config.Name
			rt.faults.Write(w, r, &fault.Fault{
				Status: http.StatusServiceUnavailable, Reason: "start",
				Message: "the code of this API does not work", Err: s.broken,
			})
			return
		case s.api.gate.enter():
			func() {
				defer s.api.gate.leave()
				exchange.Of(r.Context()).API = s.config.Name
				s.api.handler.ServeHTTP(w, r)
			}()
			return
		case rt.site.Load() == at:
			rt.faults.Write(w, r, fault.ErrDraining)
			return
		}
		// A reload has just replaced it.
	}
}

// navigates reports whether a browser asks for a page.
func navigates(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// drain ends all APIs at once.
func (s *site) drain(ctx context.Context, each func(ctx context.Context, a *api)) {
	var ends conc.WaitGroup
	for _, c := range s.apis {
		if c.api != nil {
			ends.Go(func() { each(ctx, c.api) })
		}
	}
	ends.Wait()
}
