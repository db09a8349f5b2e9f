package server

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

const (
	// Profiles cost: one at a time, and so many a minute.
	profilesAtOnce    = 1
	profilesPerMinute = 30
	longestProfile    = 60 * time.Second
)

// debug serves Go's profiles of this process below /debug/pprof/ to admins. Who is not on
// this machine shows a token or a certificate, also where the server lets in everybody.
func (s *Server) debug() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", http.NotFound) // it may have secrets
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	limit := rate.NewLimiter(rate.Every(time.Minute/profilesPerMinute), profilesPerMinute)
	places := make(chan struct{}, profilesAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		x.API, x.Route = "tasks", "debug"
		asks, err := s.access.identify(r)
		if err == nil {
			x.Owner = asks.Owner
			err = s.mayProfile(r, asks)
		}
		if err != nil {
			writeFault(w, r, err)
			return
		}
		busy := &api.Fault{Status: http.StatusTooManyRequests, Code: "too_many_requests", Message: "another profile is being made, or there were too many in the last minute: ask again in a moment", RetryAfter: api.Duration(2 * time.Second)}
		if !limit.Allow() {
			writeFault(w, r, busy)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			writeFault(w, r, busy)
			return
		}
		if n, err := strconv.ParseFloat(r.FormValue("seconds"), 64); err == nil && n > longestProfile.Seconds() {
			writeFault(w, r, invalidField("seconds", "is more than "+longestProfile.String()))
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.soft, cancel)() // a drain does not wait for it
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (s *Server) mayProfile(r *http.Request, asks *who) error {
	if !asks.Admin {
		return forbidden(api.Admin)
	}
	_, shown := tokens.Bearer(r)
	certified := r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	if x := exchange.Of(r.Context()); !shown && !certified && !exchange.FromHere(r) && !(x.ID != "" && !x.Peer.IsValid() && !x.Relayed) {
		return unauthorized("profiles take a token of scope admin from another machine: Authorization: Bearer rpt_…")
	}
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/symbol") {
		return &api.Fault{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: r.URL.Path + " takes GET"}
	}
	return nil
}
