// Package metrics shows the figures of R pools and of pipelines to Prometheus.
//
// Start with [New]: a Registry has the metrics of this process, of the Go runtime
// and of the build; [Registry.Pool] and [Registry.Run] add a pool's and a
// pipeline's, and [Registry.Handler] is what a Prometheus server scrapes. It is
// used by rpipe proxy, and by whatever else serves /__rpipe__/metrics.
//
// What is promised: names, labels and their meaning stand in docs/metrics.md and
// change with a new major version only. Labels are names from the configuration
// and words from fixed lists, never texts from requests or data, so the number of
// series is bounded. A scrape reads counters and asks no process. Registries do
// not share anything: two in one process do not meet.
package metrics

import (
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// Registry is a set of metrics. Its methods are safe for concurrent use.
type Registry struct {
	prom *prometheus.Registry

	mu      sync.Mutex // guards what follows
	version string
	pools   []*pool // in order of registration
	runs    []*run
	past    map[stage]stages.Reading // of runs that have been unregistered
}

// pool is one registration of Registry.Pool.
type pool struct {
	name string
	p    *rpool.Pool
}

// run is one registration of Registry.Run.
type run struct {
	pipeline string
	read     func() []stages.Reading
}

// stage is what the counters of stages are kept by.
type stage struct{ pipeline, name string }

// New makes a registry with the metrics of the process, of Go and of the build.
func New() *Registry {
	r := &Registry{prom: prometheus.NewRegistry(), past: make(map[stage]stages.Reading), version: "devel"}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		r.version = info.Main.Version
	}
	r.prom.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsScheduler, collectors.MetricsGC)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{r},
	)
	return r
}

// SetVersion is what the build says of itself, where Go does not know it.
func (r *Registry) SetVersion(version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.version = version
}

// Pool shows the figures of p under a name, until unregister is called. Where a
// name is taken, its latest pool is shown: a reload may register the new one
// before it lets go of the old.
func (r *Registry) Pool(name string, p *rpool.Pool) (unregister func()) {
	own := &pool{name, p}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pools = append(r.pools, own)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pools = slices.DeleteFunc(r.pools, func(o *pool) bool { return o == own })
	}
}

// Run shows what passes through the stages of a pipeline, until unregister is
// called. Runs of one pipeline are added up, those that have been unregistered
// too, so that the counters never fall. Read is called at each scrape, at the
// last when unregister is called, from one goroutine at a time.
func (r *Registry) Run(pipeline string, read func() []stages.Reading) (unregister func()) {
	own := &run{pipeline, read}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, own)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.Index(r.runs, own)
		if i < 0 {
			return
		}
		r.runs = slices.Delete(r.runs, i, i+1)
		for _, s := range read() {
			key := stage{pipeline, s.Name}
			sum := r.past[key]
			add(&sum, s)
			sum.InFlight = 0
			r.past[key] = sum
		}
	}
}

// Handler serves the metrics, in the text format or as OpenMetrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.prom, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 8,
	})
}

// Prometheus is the registry itself, for metrics of others.
func (r *Registry) Prometheus() *prometheus.Registry { return r.prom }
