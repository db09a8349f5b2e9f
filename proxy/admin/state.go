package admin

import (
	"cmp"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// state is the status page as JSON. Times are RFC 3339, durations seconds, sizes
// bytes. Keys are added to it, and none is renamed or taken away within a major
// version.
type state struct {
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Started   time.Time       `json:"started"`
	Now       time.Time       `json:"now"`
	File      string          `json:"file,omitempty"`
	FileError string          `json:"file_error,omitempty"` // why it could not be read again
	Ready     bool            `json:"ready"`
	Draining  bool            `json:"draining"`
	Reasons   []reason        `json:"reasons"` // why it is not ready
	Total     Traffic         `json:"total"`
	APIs      []APIState      `json:"apis"`
	Pools     []poolState     `json:"pools"`
	Pipelines []pipelineState `json:"pipelines"`
	Errors    []Failure       `json:"errors"` // of 5xx, the most recent first
}

// APIState is one API, with what its requests were of late.
type APIState struct {
	Name        string    `json:"name"`
	Path        string    `json:"path"`
	Host        string    `json:"host,omitempty"`
	Transport   string    `json:"transport"`
	File        string    `json:"file,omitempty"`
	Docs        string    `json:"docs,omitempty"`
	Pool        string    `json:"pool,omitempty"`
	Environment string    `json:"environment,omitempty"`
	State       string    `json:"state"`            // ready, starting, failed (none of its code works), draining
	Reason      string    `json:"reason,omitempty"` // why it is not ready
	Generation  int       `json:"generation"`
	Since       time.Time `json:"since,omitzero"`         // this generation took over
	Reloaded    time.Time `json:"reloaded,omitzero"`      // code was last loaded
	ReloadError string    `json:"reload_error,omitempty"` // why the newest code does not serve
	Traffic
	History History `json:"history"`
	Routes  []Route `json:"routes"` // the busiest first
}

// Route is what the requests of one route were of late.
type Route struct {
	Route string `json:"route"`
	Traffic
}

// Traffic is about the requests of the last Window seconds, but for Requests
// and InFlight.
type Traffic struct {
	Requests int64    `json:"requests"` // since the start
	InFlight int      `json:"in_flight"`
	Window   float64  `json:"window_seconds"`
	Rate     float64  `json:"rate"` // a second
	Statuses Statuses `json:"statuses"`
	Took     Latency  `json:"took"`  // from head to end of answer
	Queue    Latency  `json:"queue"` // waiting for a worker
	R        Latency  `json:"r"`     // in R
}

// Statuses counts answers: 2xx stands for 1xx too, gone for clients that left.
type Statuses struct {
	OK    int `json:"2xx"`
	Moved int `json:"3xx"`
	Bad   int `json:"4xx"`
	Error int `json:"5xx"`
	Gone  int `json:"gone"`
}

// Latency is quantiles of durations, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// History is what a graph shows: a point for each step, the newest last and not
// over yet.
type History struct {
	Step   float64    `json:"step_seconds"`
	Counts [][4]int   `json:"counts"`  // 2xx, 3xx, 4xx, 5xx
	Took   [2][]int64 `json:"took_us"` // p50 and p99 in microseconds
}

type pipelineState struct {
	Name  string    `json:"name"`
	File  string    `json:"file,omitempty"`
	Pool  string    `json:"pool,omitempty"`
	State string    `json:"state"`
	Rows  int64     `json:"rows"`
	Since time.Time `json:"since,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	Error string    `json:"error,omitempty"`
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return cut(err.Error(), maxFailureText)
}

// look is the state now.
func (a *Admin) look() state {
	snap, now := a.source.Snapshot(), time.Now()
	s := state{
		Name: snap.Name, Version: snap.Version, Started: snap.Started, Now: now,
		File: snap.File, FileError: message(snap.FileError),
		Draining: snap.Draining, Reasons: unready(snap),
		APIs: []APIState{}, Pools: []poolState{}, Pipelines: []pipelineState{},
	}
	s.Ready = len(s.Reasons) == 0
	if s.Reasons == nil {
		s.Reasons = []reason{}
	}
	for i := range snap.APIs {
		s.APIs = append(s.APIs, snap.api(&snap.APIs[i]))
	}
	for i := range snap.Pools {
		s.Pools = append(s.Pools, snap.pool(&snap.Pools[i], now))
	}
	for _, p := range snap.Pipelines {
		s.Pipelines = append(s.Pipelines, pipelineState{
			Name: p.Name, File: p.File, Pool: p.Pool, State: p.State, Rows: p.Rows,
			Since: p.Since, Next: p.Next, Error: message(p.Err),
		})
	}
	a.recorder.fill(&s, now)
	return s
}

func (snap *Snapshot) api(a *API) APIState {
	s := APIState{
		Name: a.Name, Path: a.Path, Host: a.Host, Transport: a.Transport, File: a.File, Docs: a.Docs,
		Pool: a.Pool, Environment: a.Environment, State: "ready",
		Generation: a.Generation, Since: a.Since, Reloaded: a.Tried, ReloadError: message(a.Err),
	}
	switch s.Reason = cut(snap.idle(a), maxFailureText); {
	case snap.Draining:
		s.State = "draining"
	case a.Environment == "" && a.Err != nil:
		s.State = "failed"
	case s.Reason != "":
		s.State = "starting"
		if e := snap.environment(a); e != nil && e.Failure != "" {
			s.State = "failed"
		}
	}
	return s
}

// environment is where the workers of an API are; nil where there are none.
func (snap *Snapshot) environment(a *API) *rpool.EnvironmentStats {
	for i := range snap.Pools {
		if snap.Pools[i].Name != a.Pool {
			continue
		}
		all := snap.Pools[i].Stats.Environments
		// A crew that has been retired may be listed still, before the one in use.
		for j := range slices.Backward(all) {
			if all[j].Fingerprint == a.Environment {
				return &all[j]
			}
		}
	}
	return nil
}

// APIs are the APIs of a Snapshot with what the recorder has seen of them, and the errors
// of late.
func (rec *Recorder) APIs(snap Snapshot) ([]APIState, []Failure) {
	s := state{APIs: []APIState{}}
	for i := range snap.APIs {
		s.APIs = append(s.APIs, snap.api(&snap.APIs[i]))
	}
	rec.fill(&s, time.Now())
	return s.APIs, s.Errors
}

// fill adds what the recorder has seen.
func (rec *Recorder) fill(s *state, now time.Time) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	s.Errors = rec.failures.newest()
	if s.Errors == nil {
		s.Errors = []Failure{}
	}
	since := rec.started
	total, span := new(slot), time.Second
	for name, t := range rec.apis {
		if name == itself { // the page would count who looks at it
			continue
		}
		for _, l := range t.window.last(now) {
			total.merge(l)
		}
		span = t.window.span(now, since)
		s.Total.Requests += t.requests
		s.Total.InFlight += t.inFlight
	}
	s.Total.of(total, span)
	for i := range s.APIs {
		a := &s.APIs[i]
		t := rec.apis[a.Name]
		if t == nil {
			none := newWindow(apiStep, apiSlots)
			a.History, a.Routes, a.Window = historyOf(&none, now), []Route{}, none.span(now, since).Seconds()
			continue
		}
		a.fill(t, now, since)
	}
}

func (a *APIState) fill(t *traffic, now, since time.Time) {
	sum := new(slot)
	for _, l := range t.window.last(now) {
		sum.merge(l)
	}
	a.Requests, a.InFlight = t.requests, t.inFlight
	a.of(sum, t.window.span(now, since))
	a.History = historyOf(&t.window, now)
	a.Routes = []Route{}
	for name, rt := range t.routes {
		sum := new(slot)
		for _, l := range rt.window.last(now) {
			sum.merge(l)
		}
		r := Route{Route: name}
		r.Requests = rt.requests
		r.of(sum, rt.window.span(now, since))
		a.Routes = append(a.Routes, r)
	}
	slices.SortFunc(a.Routes, func(x, y Route) int {
		return cmp.Or(cmp.Compare(y.Requests, x.Requests), cmp.Compare(x.Route, y.Route))
	})
}

func (s *slot) merge(o *slot) {
	if o == nil {
		return
	}
	for i, n := range o.classes {
		s.classes[i] += n
	}
	s.took.merge(&o.took)
	s.queue.merge(&o.queue)
	s.inR.merge(&o.inR)
}

func (t *Traffic) of(s *slot, span time.Duration) {
	n := 0
	for _, c := range s.classes {
		n += c
	}
	t.Window = span.Seconds()
	t.Rate = float64(n) / span.Seconds()
	t.Statuses = Statuses{s.classes[class2xx], s.classes[class3xx], s.classes[class4xx], s.classes[class5xx], s.classes[classGone]}
	t.Took, t.Queue, t.R = s.took.latency(), s.queue.latency(), s.inR.latency()
}

func (h *histogram) latency() Latency {
	return Latency{h.quantile(0.5).Seconds(), h.quantile(0.9).Seconds(), h.quantile(0.99).Seconds(), h.max.Seconds()}
}

func historyOf(w *window, now time.Time) History {
	h := History{Step: w.step.Seconds()}
	for _, s := range w.last(now) {
		if s == nil {
			s = new(slot)
		}
		h.Counts = append(h.Counts, [4]int(s.classes[:4]))
		h.Took[0] = append(h.Took[0], s.took.quantile(0.5).Microseconds())
		h.Took[1] = append(h.Took[1], s.took.quantile(0.99).Microseconds())
	}
	return h
}
