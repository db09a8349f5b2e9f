package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// collector shows what is in the queues to Prometheus.
type collector struct{ s *Server }

var (
	tasksDesc   = prometheus.NewDesc("rpipe_tasks", "Tasks by state.", []string{"state"}, nil)
	queueDesc   = prometheus.NewDesc("rpipe_queue_tasks", "Tasks in a queue by state: pending, deferred or running.", []string{"queue", "state"}, nil)
	bytesDesc   = prometheus.NewDesc("rpipe_queue_bytes", "Bytes of arguments of the tasks that wait in a queue.", []string{"queue"}, nil)
	pausedDesc  = prometheus.NewDesc("rpipe_queue_paused", "1 where nothing of a queue is begun.", []string{"queue"}, nil)
	workersDesc = prometheus.NewDesc("rpipe_workers", "Workers by state: IDLE, BUSY, PAUSED, STOPPING or LOST.", []string{"state"}, nil)
	slotsDesc   = prometheus.NewDesc("rpipe_worker_processes", "R processes of all workers: max, up or busy.", []string{"what"}, nil)
	behindDesc  = prometheus.NewDesc("rpipe_index_behind", "Changes that the index has not got yet.", nil, nil)
	streamsDesc = prometheus.NewDesc("rpipe_streams", "Requests that wait or follow.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tasksDesc, queueDesc, bytesDesc, pausedDesc, workersDesc, slotsDesc, behindDesc, streamsDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector. What cannot be had is left out.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(c.s.ctx, 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if counts, err := c.s.queue.Counts(ctx, queue.Who{Admin: true, Read: true}, index.Filter{}); err == nil {
		for _, state := range tasks.States {
			gauge(tasksDesc, float64(counts[state]), string(state))
		}
	}
	if queues, err := c.s.queue.Queues(ctx); err == nil {
		for _, q := range queues {
			gauge(queueDesc, float64(q.Pending), q.Name, "pending")
			gauge(queueDesc, float64(q.Deferred), q.Name, "deferred")
			gauge(queueDesc, float64(q.Running), q.Name, "running")
			gauge(bytesDesc, float64(q.Bytes), q.Name)
			paused := 0.0
			if q.Paused {
				paused = 1
			}
			gauge(pausedDesc, paused, q.Name)
		}
	}
	if workers, err := c.s.queue.Workers(ctx); err == nil {
		states, most, up, busy := map[string]int{"IDLE": 0, "BUSY": 0, "PAUSED": 0, "STOPPING": 0, "LOST": 0}, 0, 0, 0
		for _, w := range workers {
			states[w.State]++
			most, up, busy = most+w.Max, up+w.Up, busy+w.Busy
		}
		for state, n := range states {
			gauge(workersDesc, float64(n), state)
		}
		gauge(slotsDesc, float64(most), "max")
		gauge(slotsDesc, float64(up), "up")
		gauge(slotsDesc, float64(busy), "busy")
	}
	if x := c.s.index.Status(); x.Last >= x.Seq {
		gauge(behindDesc, float64(x.Last-x.Seq))
	}
	gauge(streamsDesc, float64(c.s.streams.used()))
}
