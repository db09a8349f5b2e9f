package admin

import (
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// poolState is a pool of R workers in the JSON of the status page.
type poolState struct {
	Name         string             `json:"name"`
	Min          int                `json:"min"`
	Max          int                `json:"max"`
	Reserve      int                `json:"reserve"` // that pipelines may not take
	Up           int                `json:"up"`
	Busy         int                `json:"busy"`
	Starting     int                `json:"starting"`
	Stopping     int                `json:"stopping"`
	RSS          int64              `json:"rss_bytes"` // pages shared with the template count in each worker
	Queue        queueState         `json:"queue"`
	Limits       []limit            `json:"limits"` // those that differ from none
	Since        sinceState         `json:"since_start"`
	Environments []environmentState `json:"environments"`
	Incidents    []incidentState    `json:"incidents"` // the most recent first
}

type queueState struct {
	Interactive int     `json:"interactive"` // requests of APIs that wait
	Bulk        int     `json:"bulk"`        // batches of pipelines that wait
	P50         float64 `json:"p50_seconds"` // upper bounds, of requests of APIs, since the start
	P99         float64 `json:"p99_seconds"`
	Max         float64 `json:"max_seconds"`
	Full        int64   `json:"refused_full"`
	Late        int64   `json:"refused_wait"`
}

// limit is an option as a person reads it: "50 MiB", "5m0s".
type limit struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sinceState counts since the pool was made.
type sinceState struct {
	Requests      int64            `json:"requests"`
	Errors        int64            `json:"r_errors"`
	Timeouts      int64            `json:"timeouts"`
	Canceled      int64            `json:"canceled"`
	Lost          int64            `json:"lost"`
	Started       int64            `json:"workers_started"`
	StartFailures int64            `json:"start_failures"`
	Died          map[string]int64 `json:"workers_died"`     // by cause
	Recycled      map[string]int64 `json:"workers_recycled"` // by limit
	Retired       int64            `json:"workers_retired"`
}

type environmentState struct {
	Fingerprint string        `json:"fingerprint"`
	APIs        []string      `json:"apis"` // whose newest generation it is; none for one that drains, or of a pipeline
	Packages    []string      `json:"packages"`
	Sources     []string      `json:"sources"`
	Template    int           `json:"template,omitempty"` // pid
	Forks       bool          `json:"forks"`
	WhySpawn    string        `json:"why_spawn,omitempty"`
	Failure     string        `json:"failure,omitempty"` // why the last start failed, with R's stderr
	Failures    int           `json:"failures"`          // in a row
	NotBefore   time.Time     `json:"not_before,omitzero"`
	Up          int           `json:"up"`
	Busy        int           `json:"busy"`
	Starting    int           `json:"starting"`
	Stopping    int           `json:"stopping"`
	Waiting     int           `json:"waiting"`
	Workers     []workerState `json:"workers"`
}

type workerState struct {
	Pid      int     `json:"pid"`
	State    string  `json:"state"`       // idle, busy, or busy with bulk work
	For      float64 `json:"for_seconds"` // in that state
	Age      float64 `json:"age_seconds"`
	Requests int     `json:"requests"`
	RSS      int64   `json:"rss_bytes"`
	Ending   string  `json:"ending,omitempty"` // the limit for which it is replaced
}

type incidentState struct {
	Time  time.Time `json:"time"`
	Pid   int       `json:"pid,omitempty"`
	Cause string    `json:"cause"`
	Error string    `json:"error"`
}

func (snap *Snapshot) pool(p *Pool, now time.Time) poolState {
	st, t := &p.Stats, &p.Stats.Total
	waits := &st.QueueWait[rpool.Interactive]
	s := poolState{
		Name: p.Name, Min: p.Options.Min, Max: st.Max, Reserve: st.Reserve,
		Up: t.Up, Busy: t.Busy, Starting: t.Starting, Stopping: t.Stopping, RSS: t.RSS,
		Queue: queueState{
			Interactive: t.WaitingInteractive, Bulk: t.WaitingBulk,
			P50: waits.Quantile(0.5).Seconds(), P99: waits.Quantile(0.99).Seconds(), Max: t.QueueWaitMax.Seconds(),
			Full: t.QueueFull, Late: t.QueueTimeouts,
		},
		Limits: limits(&p.Options),
		Since: sinceState{
			Requests: t.Requests, Errors: t.Errors, Timeouts: t.Timeouts, Canceled: t.Canceled, Lost: t.Lost,
			Started: t.Started, StartFailures: t.StartFailures, Retired: t.Retired,
			Died: orEmpty(st.Deaths), Recycled: orEmpty(st.Recycled),
		},
		Environments: []environmentState{}, Incidents: []incidentState{},
	}
	for i := range st.Environments {
		s.Environments = append(s.Environments, snap.crew(p, &st.Environments[i], now))
	}
	for _, i := range slices.Backward(st.Incidents) {
		s.Incidents = append(s.Incidents, incidentState{Time: i.Time, Pid: i.Pid, Cause: i.Cause, Error: cut(i.Error, maxFailureText)})
	}
	return s
}

// crew is one environment of a pool, with its workers.
func (snap *Snapshot) crew(p *Pool, e *rpool.EnvironmentStats, now time.Time) environmentState {
	s := environmentState{
		Fingerprint: e.Fingerprint, APIs: []string{}, Packages: orNone(e.Packages), Sources: orNone(e.Sources),
		Template: e.Template, Forks: e.Forks, WhySpawn: e.WhySpawn,
		Failure: cut(e.Failure, maxFailureText), Failures: e.Failures, NotBefore: e.NotBefore,
		Up: e.Up, Busy: e.Busy, Starting: e.Starting, Stopping: e.Stopping,
		Waiting: e.WaitingInteractive + e.WaitingBulk,
		Workers: make([]workerState, len(e.Workers)),
	}
	for i := range snap.APIs {
		if a := &snap.APIs[i]; a.Pool == p.Name && a.Environment == e.Fingerprint {
			s.APIs = append(s.APIs, a.Name)
		}
	}
	for i, w := range e.Workers {
		state := "idle"
		switch {
		case w.Busy && w.Priority == rpool.Bulk:
			state = "bulk"
		case w.Busy:
			state = "busy"
		}
		s.Workers[i] = workerState{
			Pid: w.Pid, State: state, For: since(now, w.Since), Age: since(now, w.Born),
			Requests: w.Requests, RSS: w.RSS, Ending: w.Replacing,
		}
	}
	return s
}

func since(now, then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(0, now.Sub(then).Seconds())
}

// orNone makes lists [] in JSON, never null.
func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// orEmpty likewise makes maps {}.
func orEmpty(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

func limits(o *rpool.Options) []limit {
	all := []limit{}
	number := func(name string, n int) {
		if n != 0 {
			all = append(all, limit{name, commas(int64(n))})
		}
	}
	span := func(name string, d time.Duration) {
		if d != 0 {
			all = append(all, limit{name, spanText(d)})
		}
	}
	size := func(name string, n int64) {
		if n != 0 {
			all = append(all, limit{name, sizeText(n)})
		}
	}
	number("min_spare", o.MinSpare)
	span("idle_timeout", o.IdleTimeout)
	number("max_requests", o.MaxRequests)
	span("max_lifetime", o.MaxLifetime)
	size("max_memory", o.MaxMemory)
	size("max_total_memory", o.MaxTotalMemory)
	number("queue_length", o.QueueLength)
	span("queue_wait", o.QueueWait)
	return all
}
