package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// tasksPool is what apis call the pool of the tasks.
const tasksPool = "tasks"

// reserved are the paths of the server itself, with all that is below them.
var reserved = []string{"/v1", "/ui", "/login", "/logout", "/metrics", "/healthz", "/readyz", "/openapi.json", "/debug", "/__rpipe__"}

// ownNames are what requests are counted for that are for none of the APIs.
var ownNames = []string{"tasks", "none", "other", "ui", "__rpipe__"}

// ours reports whether a path is one of the server's own.
func ours(path string) bool {
	return slices.ContainsFunc(reserved, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// checkAPIs holds apis and pools to the rules of proxy.yaml, and to those of a listener
// that has paths of its own.
func (f *File) checkAPIs(report func(field, message, hint string)) {
	p := f.mounted() // gives APIs without a name that of their path
	for i := range f.APIs {
		switch a := &f.APIs[i]; {
		case ours(strings.TrimRight(a.Path, "/")):
			report(fmt.Sprintf("apis[%d].path", i), a.Path+" is one of rpipe's own paths", "those are "+strings.Join(reserved, ", ")+"; choose another, such as /api")
		case strings.Trim(a.Path, "/") == "" && a.Host == "":
			report(fmt.Sprintf("apis[%d].path", i), "/ leads to the dashboard", "give the API a path, such as path: /api, or a host of its own")
		case slices.Contains(ownNames, a.Name):
			report(fmt.Sprintf("apis[%d].name", i), a.Name+" is what metrics and logs call paths of rpipe itself", "choose another")
		}
	}
	if _, taken := f.Pools[tasksPool]; taken {
		report("pools."+tasksPool, "is the pool of the tasks", "what it is like is said by workers; choose another name")
	}
	p.Check(report)
}

// mounted is what package proxy is to serve of the file.
func (f *File) mounted() *proxy.File {
	pools := map[string]proxy.Pool{}
	for name, p := range f.Pools {
		pools[name] = p
	}
	if !f.Workers.None {
		var p proxy.Pool
		configs.SetDefaults(&p)
		p.Min, p.Max = f.Workers.Min, f.Workers.Max
		pools[tasksPool] = p
	}
	return proxy.Part(f.Path, f.vars, f.doc, f.APIs, pools)
}

// shares reports whether an API is on the pool of the tasks.
func (f *File) shares() bool {
	return slices.ContainsFunc(f.APIs, func(a proxy.API) bool { return a.Pool == tasksPool })
}

// openAPIs brings up the mounted APIs. One whose code does not work does not keep the
// queue from its work: it answers 503, and is tried again.
func (s *Server) openAPIs() error {
	pools := map[string]*rpool.Pool{}
	if s.pool != nil {
		pools[tasksPool] = s.pool
	}
	var err error
	s.apis, err = proxy.NewMount(s.ctx, s.file.mounted(), proxy.MountOptions{
		Log: s.log, Front: s.front, Recorder: s.recorder, Metrics: s.metrics, Pools: pools,
	})
	if err != nil {
		return err
	}
	if err := s.apis.Load(s.ctx); err != nil && s.ctx.Err() == nil {
		s.log.Error("an API does not start: it answers 503, and is tried again", "error", err)
		s.running.Go(s.retryAPIs)
	}
	return nil
}

// Pauses before an API that did not start is tried again.
const (
	retryFirst = 5 * time.Second
	retryLast  = 5 * time.Minute
)

// retryAPIs tries again what has not started, until all serve.
func (s *Server) retryAPIs() {
	for pause := retryFirst; ; pause = min(2*pause, retryLast) {
		select {
		case <-s.soft.Done():
			return
		case <-time.After(pause):
		}
		err := s.apis.Retry(s.soft)
		if err == nil || errors.Is(err, fault.ErrDraining) || s.soft.Err() != nil {
			return
		}
		s.log.Error("an API does not start: it is tried again", "error", err)
	}
}

// mount puts the APIs before the server's own paths, which they cannot have.
func (s *Server) mount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours(r.URL.Path) && s.apis.Serves(r) {
			foreign(s.apis).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) listAPIs(w http.ResponseWriter, r *http.Request, _ *who) error {
	all, _ := s.lookAtAPIs()
	for i := range all {
		all[i].Routes = nil
	}
	return writeJSON(w, 200, &api.APIs{APIs: all})
}

func (s *Server) getAPI(w http.ResponseWriter, r *http.Request, _ *who) error {
	all, failures := s.lookAtAPIs()
	name := r.PathValue("name")
	i := slices.IndexFunc(all, func(a api.API) bool { return a.Name == name })
	if i < 0 {
		return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: "there is no API " + name}
	}
	for _, f := range failures {
		if f.API == name {
			all[i].Errors = append(all[i].Errors, api.APIFailure{
				First: f.First, Last: f.Last, Count: f.Count, RequestID: f.ID, Method: f.Method, Path: f.Path, Route: f.Route,
				Status: f.Status, Reason: f.Reason, Message: f.Message, Details: f.Details,
			})
		}
	}
	return writeJSON(w, 200, &all[i])
}

// lookAtAPIs is how the mounted APIs are.
func (s *Server) lookAtAPIs() ([]api.API, []admin.Failure) {
	snap := admin.Snapshot{Version: s.version, Started: s.started, Draining: s.draining.Load()}
	snap.APIs, snap.Pools = s.apis.Snapshot()
	states, failures := s.recorder.APIs(snap)
	all := make([]api.API, 0, len(states))
	for i := range states {
		a := &states[i]
		out := api.API{
			Name: a.Name, Path: a.Path, Host: a.Host, Kind: a.Transport, File: a.File, Docs: a.Docs,
			State: a.State, Reason: a.Reason, Error: a.ReloadError, Generation: a.Generation,
			Since: a.Since, Loaded: a.Reloaded, Pool: a.Pool, Traffic: trafficOf(&a.Traffic),
		}
		out.Workers = crewOf(snap.Pools, a.Pool, a.Environment)
		for _, r := range a.Routes {
			out.Routes = append(out.Routes, api.APIRoute{Route: r.Route, Traffic: trafficOf(&r.Traffic)})
		}
		all = append(all, out)
	}
	return all, failures
}

// crewOf counts the workers of an environment in a pool.
func crewOf(pools []admin.Pool, pool, fingerprint string) api.APIPool {
	var out api.APIPool
	for _, p := range pools {
		if p.Name != pool {
			continue
		}
		out.Max = p.Stats.Max
		for _, e := range p.Stats.Environments {
			if e.Fingerprint == cmp.Or(fingerprint, "none") {
				out.Up, out.Busy, out.Starting = e.Up, e.Busy, e.Starting
				out.Waiting = e.WaitingInteractive
			}
		}
	}
	return out
}

func trafficOf(t *admin.Traffic) api.Traffic {
	q := func(l admin.Latency) api.Latency { return api.Latency{P50: l.P50, P90: l.P90, P99: l.P99, Max: l.Max} }
	return api.Traffic{
		Requests: t.Requests, InFlight: t.InFlight, Window: t.Window, Rate: t.Rate,
		OK: t.Statuses.OK, Moved: t.Statuses.Moved, Bad: t.Statuses.Bad, Failed: t.Statuses.Error, Gone: t.Statuses.Gone,
		Took: q(t.Took), Queue: q(t.Queue), R: q(t.R),
	}
}

// drainAPIs lets the requests of APIs end.
func (s *Server) drainAPIs(ctx context.Context) {
	if s.apis != nil {
		s.apis.Drain(ctx)
	}
}
