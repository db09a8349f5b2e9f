// Package dashboard is the pages of rpipe serve under /ui/: what is queued, runs, failed
// and comes next, for people with a browser. The server puts it in front of its REST API
// and is its user.
//
// What is promised: every figure is one that the API has told for this very request, by
// asking it in the process as who asks for the page, so nobody sees or does more here
// than he might there. Pages and forms work without JavaScript; with it they change as
// things do. Nothing is loaded from anywhere else, and no style or script stands in a
// page, so that the Content-Security-Policy can forbid both.
package dashboard

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Options are what the server gives.
type Options struct {
	Config
	// API answers /v1/…, as whom the request's context says. It must answer requests of
	// this package, which have no connection of their own.
	API http.Handler
	// Who is who asks, of whom the server is sure.
	Who func(*http.Request) Who
	// Last takes a place for a request that lasts, whose context ends with the server.
	Last    func(*http.Request) (ctx context.Context, release func(), err error)
	Version string       // of rpipe
	Log     *slog.Logger // nil discards
}

// Who is who asks for a page.
type Who struct {
	Owner  string
	Scopes []string
	Token  string // that forms send along, against requests of other sites
	Logout bool   // he has logged in, and may log out
}

// can reports whether he has one of these scopes.
func (w *Who) can(scopes ...string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(w.Scopes, s) })
}

// Dashboard answers /ui/.
type Dashboard struct {
	o         Options
	log       *slog.Logger
	mux       *http.ServeMux
	hub       *hub
	fragments fragments
	now       func() time.Time
}

// New is a dashboard. Close ends it.
func New(o Options) *Dashboard {
	d := &Dashboard{o: o, log: o.Log, mux: http.NewServeMux(), now: time.Now}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.hub = newHub(time.Duration(o.Refresh))
	d.fragments.keep = time.Duration(o.Refresh) * 9 / 10
	d.routes()
	return d
}

// Close ends the streams of events.
func (d *Dashboard) Close() { d.hub.close() }

// Changed tells open pages about a topic (tasks, queues, workers, schedules, runs or
// pipelines) that something of an owner has changed; of "" that something has which
// everybody may see. It never waits.
func (d *Dashboard) Changed(topic, owner string) { d.hub.changed(topic, owner) }

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(strings.ToLower(r.URL.EscapedPath()), "%2f") { // no name has a slash: it would be another path of the API
		d.fault(w, r, notFound("there is no page "+r.URL.Path))
		return
	}
	d.mux.ServeHTTP(w, r)
}

// routes are all pages, and what their forms do.
func (d *Dashboard) routes() {
	d.page("GET /ui/{$}", "overview", d.overview)
	d.page("GET /ui/tasks", "tasks", d.tasks)
	d.page("GET /ui/tasks/{id}", "task", d.task)
	d.page("GET /ui/jobs", "jobs", d.jobs)
	d.page("GET /ui/jobs/{id}", "job", d.job)
	d.page("GET /ui/queues", "queues", d.queues)
	d.page("GET /ui/workers", "workers", d.workers)
	d.page("GET /ui/workers/{id}", "worker", d.worker)
	d.page("GET /ui/schedules", "schedules", d.schedules)
	d.page("GET /ui/schedules/{name}", "schedule", d.schedule)
	d.page("GET /ui/runs/{id}", "run", d.run)
	d.page("GET /ui/pipelines", "pipelines", d.pipelines)
	d.page("GET /ui/pipelines/{name}", "pipeline", d.pipeline)
	d.page("GET /ui/apis", "apis", d.apis)
	d.page("GET /ui/settings", "settings", d.settings)

	d.mux.HandleFunc("GET /ui/tasks/{id}/result.json", d.resultJSON)
	d.mux.HandleFunc("GET /ui/tasks/{id}/result.rds", d.resultRDS)
	d.mux.HandleFunc("GET /ui/tasks/{id}/log.txt", d.logText)

	for what := range jobActions {
		d.mux.HandleFunc("POST /ui/{kind}/{id}/"+what, d.act(what))
	}
	d.mux.HandleFunc("POST /ui/tasks", d.actMany)
	for _, what := range []string{"pause", "resume", "purge", "limits"} {
		d.mux.HandleFunc("POST /ui/queues/{name}/"+what, d.queueAction(what))
	}
	for _, what := range []string{"pause", "resume", "stop"} {
		d.mux.HandleFunc("POST /ui/workers/{id}/"+what, d.workerAction(what))
	}

	for _, what := range []string{"run", "pause", "resume", "backfill"} {
		d.mux.HandleFunc("POST /ui/schedules/{name}/"+what, d.scheduleAction(what))
	}
	for _, what := range []string{"run", "replay"} {
		d.mux.HandleFunc("POST /ui/pipelines/{name}/"+what, d.pipelineAction(what))
	}
	d.mux.HandleFunc("POST /ui/runs/{id}/cancel", d.cancelRun)
	d.mux.HandleFunc("GET /ui/runs/{id}/log.txt", d.runLog)

	d.mux.HandleFunc("GET /ui/events", d.events)
	d.mux.Handle("GET /ui/static/{file}", static())
	d.mux.HandleFunc("/ui/", func(w http.ResponseWriter, r *http.Request) {
		d.fault(w, r, notFound("there is no page "+r.URL.Path))
	})
}
