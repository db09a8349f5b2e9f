package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// collector shows how things stand to Prometheus.
type collector struct{ s *Server }

// figures are its metrics. docs/metrics.md has them too, and a test compares.
var figures []*prometheus.Desc

func figure(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	figures = append(figures, d)
	return d
}

var (
	tasksDesc   = figure("rpipe_tasks", "Tasks by state.", "state")
	queueDesc   = figure("rpipe_queue_tasks", "Tasks in a queue by state: pending, deferred or running.", "queue", "state")
	bytesDesc   = figure("rpipe_queue_bytes", "Bytes of arguments of the tasks that wait in a queue.", "queue")
	pausedDesc  = figure("rpipe_queue_paused", "1 where nothing of a queue is begun.", "queue")
	workersDesc = figure("rpipe_workers", "Workers by state: IDLE, BUSY, PAUSED, STOPPING or LOST.", "state")
	slotsDesc   = figure("rpipe_worker_processes", "R processes of all workers: max, up or busy.", "what")

	behindDesc  = figure("rpipe_index_behind", "Changes that the index has not got yet.")
	damagedDesc = figure("rpipe_index_damaged_records", "Records that the index could not read since the server began.")
	streamsDesc = figure("rpipe_streams", "Requests that wait or follow.")
	readyDesc   = figure("rpipe_ready", "1 while the server takes tasks, as /readyz says.")
	checkDesc   = figure("rpipe_check_ok", "1 where a part of /readyz is well: engine, disk, drain, index, r, leader or schedules.", "check")

	storeBytesDesc    = figure("rpipe_store_bytes", "Bytes of a stream of the store, one copy.", "stream")
	storeMessagesDesc = figure("rpipe_store_messages", "Messages of a stream of the store.", "stream")
	commitDesc        = figure("rpipe_store_commit_seconds", "How long it took to store a group of records; with durability always that is the disk's time.")
	recordsDesc       = figure("rpipe_store_records_total", "Records in those groups.")
	diskFreeDesc      = figure("rpipe_disk_free_bytes", "Bytes that the data directory's disk has left.")
	diskSizeDesc      = figure("rpipe_disk_size_bytes", "Bytes of the data directory's disk.")

	sessionsDesc = figure("rpipe_sessions", "Browsers that are logged in.")
	spansDesc    = figure("rpipe_trace_spans_total", "Spans for the collector by outcome: sent or failed.", "outcome")

	schedulesDesc = figure("rpipe_schedules", "Schedules by state: active, paused, failing (the last run failed) or running.", "state")
	runsDesc      = figure("rpipe_schedule_runs", "The newest thousand runs of schedules by state.", "state")
	nextDesc      = figure("rpipe_schedule_next_run_timestamp_seconds", "When a schedule is due next, in seconds since 1970.", "schedule")
	lastDesc      = figure("rpipe_schedule_last_run_timestamp_seconds", "When the last run of a schedule began.", "schedule")
	failingDesc   = figure("rpipe_schedule_failing", "1 where the last run of a schedule that ended has failed.", "schedule")
	latenessDesc  = figure("rpipe_schedule_lateness_seconds", "How long after its time the last run of a schedule began.", "schedule")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range figures {
		to <- d
	}
}

// gauges send the figures of one scrape.
type gauges chan<- prometheus.Metric

func (to gauges) set(d *prometheus.Desc, v float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (to gauges) count(d *prometheus.Desc, v float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (to gauges) truth(d *prometheus.Desc, v bool, labels ...string) {
	if v {
		to.set(d, 1, labels...)
	} else {
		to.set(d, 0, labels...)
	}
}

// Collect implements prometheus.Collector. What cannot be had is left out.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(c.s.ctx, 5*time.Second)
	defer cancel()
	to := gauges(out)
	c.queues(ctx, to)
	c.workers(ctx, to)
	c.store(ctx, to)
	c.schedules(to)
	x := c.s.index.Status()
	to.set(behindDesc, float64(max(x.Last, x.Seq)-x.Seq))
	to.set(damagedDesc, float64(x.Damaged))
	to.set(streamsDesc, float64(c.s.streams.used()))
	sessions := 0
	if c.s.sessions != nil {
		sessions = len(c.s.sessions.List(""))
	}
	to.set(sessionsDesc, float64(sessions))
	spans := c.s.tracer.Counts()
	to.count(spansDesc, float64(spans.Sent), "sent")
	to.count(spansDesc, float64(spans.Failed), "failed")
	ready := c.s.readiness(ctx)
	to.truth(readyDesc, ready.Ready)
	for _, part := range ready.Checks {
		to.truth(checkDesc, part.OK, part.Name)
	}
}

func (c *collector) queues(ctx context.Context, to gauges) {
	if counts, err := c.s.queue.Counts(ctx, queue.Who{Admin: true, Read: true}, index.Filter{}); err == nil {
		for _, state := range tasks.States {
			to.set(tasksDesc, float64(counts[state]), string(state))
		}
	}
	queues, err := c.s.queue.Queues(ctx)
	if err != nil {
		return
	}
	for _, q := range bounded(queues) {
		to.set(queueDesc, float64(q.Pending), q.Name, "pending")
		to.set(queueDesc, float64(q.Deferred), q.Name, "deferred")
		to.set(queueDesc, float64(q.Running), q.Name, "running")
		to.set(bytesDesc, float64(q.Bytes), q.Name)
		to.truth(pausedDesc, q.Paused, q.Name)
	}
}

// bounded are the queues with the most tasks, and the others together.
func bounded(queues []queue.QueueInfo) []queue.QueueInfo {
	if len(queues) <= maxLabels {
		return queues
	}
	queues = slices.Clone(queues)
	slices.SortStableFunc(queues, func(a, b queue.QueueInfo) int {
		return cmp.Compare(b.Pending+b.Deferred+b.Running, a.Pending+a.Deferred+a.Running)
	})
	var rest queue.QueueInfo
	rest.Name = other
	kept := queues[:0]
	for i, q := range queues {
		if i < maxLabels-1 && q.Name != other {
			kept = append(kept, q)
			continue
		}
		rest.Pending, rest.Deferred, rest.Running, rest.Bytes = rest.Pending+q.Pending, rest.Deferred+q.Deferred, rest.Running+q.Running, rest.Bytes+q.Bytes
	}
	return append(kept, rest)
}

func (c *collector) workers(ctx context.Context, to gauges) {
	workers, err := c.s.queue.Workers(ctx)
	if err != nil {
		return
	}
	states, most, up, busy := map[string]int{"IDLE": 0, "BUSY": 0, "PAUSED": 0, "STOPPING": 0, "LOST": 0}, 0, 0, 0
	for _, w := range workers {
		states[w.State]++
		most, up, busy = most+w.Max, up+w.Up, busy+w.Busy
	}
	for state, n := range states {
		to.set(workersDesc, float64(n), state)
	}
	to.set(slotsDesc, float64(most), "max")
	to.set(slotsDesc, float64(up), "up")
	to.set(slotsDesc, float64(busy), "busy")
}

func (c *collector) store(ctx context.Context, to gauges) {
	if s, err := c.s.broker.Status(ctx); err == nil {
		for _, stream := range s.Streams {
			to.set(storeBytesDesc, float64(stream.Bytes), stream.Name)
			to.set(storeMessagesDesc, float64(stream.Messages), stream.Name)
		}
	}
	commits := c.s.broker.Commits()
	buckets, n := make(map[float64]uint64, len(broker.CommitBounds)), uint64(0)
	for i, bound := range broker.CommitBounds {
		n += uint64(commits.Counts[i])
		buckets[bound.Seconds()] = n
	}
	to <- prometheus.MustNewConstHistogram(commitDesc, uint64(commits.Count()), commits.Took.Seconds(), buckets)
	to.count(recordsDesc, float64(commits.Records))
	if free, size, ok := diskOf(c.s.data); ok {
		to.set(diskFreeDesc, float64(free))
		to.set(diskSizeDesc, float64(size))
	}
}

func (c *collector) schedules(to gauges) {
	if c.s.keeper == nil {
		return
	}
	states := map[string]int{"active": 0, "paused": 0, "failing": 0, "running": 0}
	shown := 0
	for _, e := range c.s.keeper.List() {
		if e.Gone {
			continue
		}
		if e.Paused {
			states["paused"]++
		} else {
			states["active"]++
		}
		if e.Failing {
			states["failing"]++
		}
		if e.Running > 0 {
			states["running"]++
		}
		if shown++; shown > maxLabels {
			continue
		}
		to.truth(failingDesc, e.Failing, e.Name)
		if !e.Next.IsZero() {
			to.set(nextDesc, float64(e.Next.UnixMilli())/1000, e.Name)
		}
		if r := e.Last; r != nil && !r.Started.IsZero() {
			to.set(lastDesc, float64(r.Started.UnixMilli())/1000, e.Name)
			to.set(latenessDesc, max(0, r.Started.Sub(r.Scheduled)).Seconds(), e.Name)
		}
	}
	for state, n := range states {
		to.set(schedulesDesc, float64(n), state)
	}
	runs := map[schedule.State]int{schedule.Complete: 0, schedule.Error: 0, schedule.Running: 0}
	for _, r := range c.s.keeper.Runs(keeper.Filter{Limit: 1000}) {
		runs[r.State]++
	}
	for state, n := range runs {
		to.set(runsDesc, float64(n), string(state))
	}
}
