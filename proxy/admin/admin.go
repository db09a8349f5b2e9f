// Package admin is what stands behind /__rpipe__/ of a proxy: health and ready for
// load balancers, metrics for Prometheus, status for people. None of it waits for
// an R worker.
//
// The core of the proxy is its [Source]; a [Recorder] is told of every request.
// Health and ready answer everybody, and tell strangers no more than yes or no. The
// rest is for clients of this machine and for tokens of scope read or admin.
package admin

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tokens"
)

// itself is the API that requests below Prefix are counted for.
const itself = "__rpipe__"

// Prefix is what all paths of this package begin with. No other path is touched.
const Prefix = "/__rpipe__/"

// Options are what an Admin is made of.
type Options struct {
	Config   Config
	Source   Source
	Recorder *Recorder
	Metrics  http.Handler  // in the text format of Prometheus
	Tokens   *tokens.Store // nil: no token lets anybody in
	Log      *slog.Logger  // nil discards
}

// Admin is the handler of /__rpipe__/.
type Admin struct {
	source   Source
	recorder *Recorder
	metrics  http.Handler
	access   *access
	log      *slog.Logger
}

// New makes an Admin.
func New(o Options) *Admin {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Admin{
		source: o.Source, recorder: o.Recorder, metrics: o.Metrics, log: o.Log,
		access: newAccess(o.Config.Local, o.Tokens, o.Log),
	}
}

// Before answers what is below Prefix, and leaves all else to next as it came.
func (a *Admin) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Prefix) {
			a.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		answer(w, r, http.StatusMethodNotAllowed, map[string]string{"error": "method_not_allowed", "message": "/__rpipe__/ is read, with GET or HEAD"})
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	x := exchange.Of(r.Context())
	x.API = itself
	switch name {
	case "health", "ready", "status", "metrics":
		x.Route = Prefix + name
	}
	switch name {
	case "health":
		a.health(w, r)
		return
	case "ready":
		a.ready(w, r)
		return
	}
	if !a.access.allow(r, tokens.Read) {
		refuse(w, r)
		return
	}
	switch name {
	case "":
		http.Redirect(w, r, Prefix+"status", http.StatusFound)
	case "status":
		a.status(w, r)
	case "metrics":
		a.metrics.ServeHTTP(w, r)
	default:
		answer(w, r, http.StatusNotFound, map[string]string{"error": "not_found", "message": "/__rpipe__/ has status, metrics, health and ready"})
	}
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		json.NewEncoder(w).Encode(v) // where the client has gone, nobody can be told
	}
}
