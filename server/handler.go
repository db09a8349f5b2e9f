package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// operation answers a route. What it returns is written as a fault, unless it has
// begun to answer.
type operation func(w http.ResponseWriter, r *http.Request, who *who) error

// operations are those of api.Routes by their names.
func (s *Server) operations() map[string]operation {
	return map[string]operation{
		"submitJob":        s.submitJob,
		"listJobs":         s.listJobs,
		"getJob":           s.getJob,
		"listTasksOfJob":   s.listTasks,
		"getResults":       s.getResults,
		"getResultsByName": s.getResultsByName,
		"downloadJob":      s.downloadJob,
		"followJob":        s.followJob,
		"getCells":         s.getCells,
		"cancelJob":        s.one(s.cancelIDs),
		"retryJob":         s.one(s.retryIDs),
		"resumeJob":        s.one(s.retryIDs),
		"deleteJob":        s.one(s.deleteIDs),

		"listTasks":   s.listTasks,
		"countTasks":  s.countTasks,
		"getTask":     s.getTask,
		"getResult":   s.getResult,
		"getLog":      s.getLog,
		"getProgress": s.getProgress,
		"followTask":  s.followTask,
		"cancelTask":  s.one(s.cancelIDs),
		"retryTask":   s.one(s.retryIDs),
		"deleteTask":  s.one(s.deleteIDs),

		"wait":   s.wait,
		"cancel": s.many(s.cancelIDs),
		"retry":  s.many(s.retryIDs),
		"delete": s.many(s.deleteIDs),
		"follow": s.followAll,

		"listQueues":  s.listQueues,
		"getQueue":    s.getQueue,
		"setQueue":    s.setQueue,
		"pauseQueue":  s.pauseQueue(true),
		"resumeQueue": s.pauseQueue(false),
		"purgeQueue":  s.purgeQueue,
		"followQueue": s.followQueue,

		"listAPIs": s.listAPIs,
		"getAPI":   s.getAPI,

		"listPipelines":     s.listPipelines,
		"getPipeline":       s.getPipeline,
		"getPipelinePlan":   s.getPipelinePlan,
		"runPipeline":       s.runPipeline,
		"listPipelineRuns":  s.listPipelineRuns,
		"getDeadLetters":    s.getDeadLetters,
		"replayPipeline":    s.replayPipeline,
		"getPipelineRun":    s.getPipelineRun,
		"getPipelineOutput": s.getPipelineOutput,

		"listWorkers":   s.listWorkers,
		"getWorker":     s.getWorker,
		"messageWorker": s.messageWorker,
		"getWorkerLog":  s.getWorkerLog,

		"listEnvironments":   s.listEnvironments,
		"getEnvironment":     s.getEnvironment,
		"setEnvironment":     s.setEnvironment,
		"deleteEnvironment":  s.deleteEnvironment,
		"listWorkerConfigs":  s.listWorkerConfigs,
		"getWorkerConfig":    s.getWorkerConfig,
		"setWorkerConfig":    s.setWorkerConfig,
		"deleteWorkerConfig": s.deleteWorkerConfig,
		"listOwners":         s.listOwners,
		"getOwner":           s.getOwner,
		"setOwner":           s.setOwner,

		"listSchedules":    s.listSchedules,
		"getSchedule":      s.getSchedule,
		"nextTimes":        s.nextTimes,
		"listRunsOf":       s.listRunsOf,
		"runSchedule":      s.runSchedule,
		"pauseSchedule":    s.pauseSchedule,
		"resumeSchedule":   s.resumeSchedule,
		"backfillSchedule": s.backfillSchedule,
		"listRuns":         s.listRuns,
		"getRun":           s.getRun,
		"getRunLog":        s.getRunLog,
		"cancelRun":        s.cancelRun,

		"putValue": s.putValue,
		"getValue": s.getValue,

		"getAudit":     s.getAudit,
		"listSessions": s.listSessions,
		"endSessions":  s.endSessions,
		"listNotify":   s.listNotify,
		"testNotify":   s.testNotify,

		"getInfo":        s.getInfo,
		"getSeries":      s.getSeries,
		"backup":         s.backup,
		"reload":         s.reload,
		"getDescription": s.getDescription,
		"getMetrics":     s.getMetrics,
		"getHealth":      s.getHealth,
		"getReadiness":   s.getReadiness,
	}
}

// handler answers all routes.
func (s *Server) handler() (http.Handler, error) {
	usual, err := s.front.Guard(&front.Policy{Compress: compress()})
	if err != nil {
		return nil, err
	}
	plain, err := s.front.Guard(&front.Policy{})
	if err != nil {
		return nil, err
	}
	mux, inner, operations := http.NewServeMux(), http.NewServeMux(), s.operations()
	for i := range api.Routes {
		route := &api.Routes[i]
		op, ok := operations[route.Op]
		if !ok {
			return nil, fmt.Errorf("no handler for %s %s (%s)", route.Method, route.Path, route.Op)
		}
		guard, most := usual, func() int64 { return int64(s.limits.Load().Body) }
		if route.Tag == "values" {
			guard, most = plain, func() int64 { return int64(s.limits.Load().Value) }
		}
		answer := s.route(route, most, op)
		mux.Handle(route.Method+" "+route.Path, guard(answer))
		inner.Handle(route.Method+" "+route.Path, answer)
	}
	mux.Handle("/debug/pprof/", plain(s.debug()))
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeFault(w, r, unrouted(mux, r))
	}))
	s.handlePages(mux, plain)
	s.handleDashboard(mux, inner, usual)
	return s.guarded(mux), nil
}

func compress() *front.Compress {
	c := new(front.Compress)
	configs.SetDefaults(c)
	return c
}

// route finds out who asks, and lets an operation answer who may. A body may have limit
// bytes.
func (s *Server) route(route *api.Route, limit func() int64, op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		x.API, x.Route = "tasks", route.Op
		var asks *who
		w, r, record := s.recorded(w, r, route, &asks)
		defer record()
		if route.Right != api.Open {
			var err error
			if asks, err = s.access.identify(r); err != nil {
				writeFault(w, r, err)
				return
			}
			x.Owner = asks.Owner
			if !asks.allowed(route.Right) {
				writeFault(w, r, forbidden(route.Right))
				return
			}
		}
		if err := known(r, route); err != nil {
			writeFault(w, r, err)
			return
		}
		if r.Method == http.MethodHead && (route.Tag == "events" || r.URL.Query().Has("follow")) {
			// Its end would come, unseen, long after the client has the answer and sends the next request.
			writeFault(w, r, &api.Fault{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "this lasts, so HEAD would tell nothing: use GET"})
			return
		}
		most := limit()
		if r.ContentLength > most {
			w.Header().Set("Connection", "close")
			writeFault(w, r, tooLarge(most))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		w.Header().Set("Cache-Control", "no-store")
		if err := op(w, r, asks); err != nil {
			writeFault(w, r, err)
		}
	})
}

func forbidden(r api.Right) error {
	scope := string(r)
	switch r {
	case api.Change:
		scope = "submit or admin"
	case api.Read:
		scope = "read or admin"
	}
	return &api.Fault{Status: http.StatusForbidden, Code: "forbidden", Message: "this takes a token of scope " + scope}
}

// unrouted is for what is asked where nothing is, or in a way that nothing takes.
func unrouted(mux *http.ServeMux, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		return &api.Fault{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: fmt.Sprintf("%s takes %s, not %s", r.URL.Path, strings.Join(allowed, " or "), r.Method)}
	}
	return &api.Fault{Status: http.StatusNotFound, Code: "no_route", Message: "nothing is served at " + strconv.Quote(r.URL.Path) + ": /openapi.json says what is"}
}

// writeFault answers with an error. Where the answer has begun, all that is left is to
// break it off.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	x := exchange.Of(r.Context())
	x.Err = err
	var begun *begunError
	if errors.As(err, &begun) {
		panic(http.ErrAbortHandler)
	}
	f := faultOf(err)
	if f.Status >= 500 || f.Status == 499 {
		x.Err = err
	} else {
		x.Err = nil
	}
	h := w.Header()
	for _, name := range []string{"Content-Disposition", "Content-Length", "ETag"} {
		h.Del(name)
	}
	h.Set("Content-Type", api.JSON)
	h.Set("Cache-Control", "no-store")
	if out, ok := w.(*statusWriter); ok {
		out.code = f.Code
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(f.RetryAfter)/1e9))))
	}
	if f.Status == http.StatusUnauthorized {
		h.Add("WWW-Authenticate", `Bearer realm="rpipe"`)
		h.Add("WWW-Authenticate", `Basic realm="rpipe: a token as the password", charset="UTF-8"`)
	}
	out := *f
	out.RequestID = x.ID
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		json.NewEncoder(w).Encode(&out)
	}
}

// begunError is an error after the answer has begun.
type begunError struct{ err error }

func (e *begunError) Error() string { return e.err.Error() }
func (e *begunError) Unwrap() error { return e.err }

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, document any) error {
	b, err := json.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", api.JSON)
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // an error is the client's going, which the front knows
	return nil
}
