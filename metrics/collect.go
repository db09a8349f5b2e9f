package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// collector reads all pools and runs at a scrape.
type collector struct{ r *Registry }

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	e := emitter{to: to}
	e.value(buildInfo, 1, c.r.version, runtime.Version())
	latest := make(map[string]*rpool.Pool)
	for _, p := range c.r.pools {
		latest[p.name] = p.p
	}
	for name, p := range latest {
		e.labels = []string{name}
		e.pool(p.Stats())
	}
	c.r.collectRuns(&e)
}

// emitter sends metrics of one pool or stage: those with its labels before their own.
type emitter struct {
	to     chan<- prometheus.Metric
	labels []string
}

func (e *emitter) value(f *family, v float64, labels ...string) {
	e.to <- prometheus.MustNewConstMetric(f.desc, f.kind, v, e.with(labels)...)
}

func (e *emitter) histogram(f *family, h *rpool.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(rpool.Bounds))
	var n uint64
	for i, bound := range rpool.Bounds {
		n += uint64(h.Counts[i])
		buckets[bound.Seconds()] = n
	}
	e.to <- prometheus.MustNewConstHistogram(f.desc, uint64(h.Count()), h.Sum.Seconds(), buckets, e.with(labels)...)
}

func (e *emitter) with(labels []string) []string {
	return append(e.labels[:len(e.labels):len(e.labels)], labels...)
}

func (e *emitter) pool(s rpool.Stats) {
	t := s.Total
	e.value(poolWorkers, float64(t.Idle), "idle")
	e.value(poolWorkers, float64(t.Busy), "busy")
	e.value(poolWorkers, float64(t.Starting), "starting")
	e.value(poolWorkers, float64(t.Stopping), "stopping")
	e.value(poolMaxWorkers, float64(s.Max))
	e.value(poolReserved, float64(s.Reserve))
	e.value(poolMemory, float64(t.RSS))
	failing := 0
	for _, env := range s.Environments {
		if env.Failure != "" {
			failing++
		}
	}
	e.value(poolEnvironments, float64(len(s.Environments)-failing), "ready")
	e.value(poolEnvironments, float64(failing), "failing")
	for priority, waiting := range [...]int{t.WaitingInteractive, t.WaitingQueued, t.WaitingBulk} {
		name := rpool.Priority(priority).String()
		e.value(poolQueueLength, float64(waiting), name)
		e.histogram(poolQueueWait, &s.QueueWait[priority], name)
		e.histogram(poolRun, &s.RunTime[priority], name)
	}
	e.value(poolRequests, float64(t.Requests-t.Errors-t.Timeouts-t.Canceled-t.Lost), "ok")
	e.value(poolRequests, float64(t.Errors), "error")
	e.value(poolRequests, float64(t.Timeouts), "timeout")
	e.value(poolRequests, float64(t.Canceled), "canceled")
	e.value(poolRequests, float64(t.Lost), "lost")
	e.value(poolRefused, float64(t.QueueFull), "queue_full")
	e.value(poolRefused, float64(t.QueueTimeouts), "queue_wait")
	e.value(poolRefused, float64(t.QueueCanceled), "canceled")
	e.value(poolLaunches, float64(t.Launches))
	e.value(poolStarts, float64(t.Started))
	e.value(poolFailures, float64(t.LaunchFailures), "template")
	e.value(poolFailures, float64(t.StartFailures), "worker")
	e.counts(workerDeaths, s.Deaths, "exit", "out_of_memory", "SIGKILL", "SIGSEGV", "timeout")
	e.counts(workerRecycled, s.Recycled, "max_requests", "max_lifetime", "max_memory")
	e.value(workerRetired, float64(t.Retired))
}

// counts sends a value for each key; the usual ones also while they are 0, so
// that the first increase is seen as one.
func (e *emitter) counts(f *family, counts map[string]int64, usual ...string) {
	for _, key := range usual {
		if _, ok := counts[key]; !ok {
			e.value(f, 0, key)
		}
	}
	for key, n := range counts {
		e.value(f, float64(n), key)
	}
}

func (e *emitter) stage(s stages.Reading) {
	e.value(stageRows, float64(s.RowsIn), "in")
	e.value(stageRows, float64(s.RowsOut), "out")
	e.value(stageBytes, float64(s.BytesIn), "in")
	e.value(stageBytes, float64(s.BytesOut), "out")
	e.value(stageBatches, float64(s.BatchesIn), "in")
	e.value(stageBatches, float64(s.BatchesOut), "out")
	e.value(stageBlocked, s.BlockedIn.Seconds(), "in")
	e.value(stageBlocked, s.BlockedOut.Seconds(), "out")
	e.value(stageBusy, s.Busy.Seconds())
	e.value(stageFlight, float64(s.InFlight))
	e.counts(stageCuts, s.Reasons)
	e.counts(stageErrors, s.Errors)
}
