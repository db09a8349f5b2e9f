package server

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/tasks"
)

const (
	// maxLabels is how many queues, owners, schedules or streams have series of their
	// own. The rest are one, by the name other.
	maxLabels = 100
	other     = "other"
)

// meters count what ends, as it ends.
type meters struct {
	since time.Time

	ended    *prometheus.CounterVec
	owners   *prometheus.CounterVec
	attempts *prometheus.CounterVec
	wait     *prometheus.HistogramVec
	run      *prometheus.HistogramVec
	denied   *prometheus.CounterVec

	queues, users names
}

// taskSeconds are bounds of buckets: tasks take from milliseconds to days.
var taskSeconds = []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}

func newMeters() *meters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	timer := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: taskSeconds}, []string{"queue"})
	}
	m := &meters{
		since:    time.Now(),
		ended:    counter("rpipe_tasks_ended_total", "Tasks that have ended, by their queue and last state.", "queue", "state"),
		owners:   counter("rpipe_owner_tasks_ended_total", "Tasks that have ended, by their owner and last state.", "owner", "state"),
		attempts: counter("rpipe_task_attempts_total", "Attempts of tasks that have ended, by cause: done, error, timeout, cancelled, signal, exit, out_of_memory, cpu_limit, worker_stopped, host_lost or start.", "cause"),
		wait:     timer("rpipe_task_wait_seconds", "How long tasks that have ended had waited, from when they might have begun to their begin; those of one attempt alone."),
		run:      timer("rpipe_task_run_seconds", "How long the last attempt of tasks that have ended took."),
		denied:   counter("rpipe_auth_failures_total", "Requests that were refused for who asked, by reason: unauthenticated (401; of mounted APIs, unknown tokens), forbidden (403) or limited (429, after too many unknown tokens).", "reason"),
	}
	for _, cause := range []string{tasks.CauseDone, tasks.CauseError, tasks.CauseTimeout, tasks.CauseHost} {
		m.attempts.WithLabelValues(cause)
	}
	m.denied.WithLabelValues(limited)
	for _, reason := range denials {
		m.denied.WithLabelValues(reason)
	}
	return m
}

func (m *meters) all() []prometheus.Collector {
	return []prometheus.Collector{m.ended, m.owners, m.attempts, m.wait, m.run, m.denied}
}

// see counts a change of a task. It is called for each, in order.
func (m *meters) see(t *tasks.Task) {
	switch t.State {
	case tasks.Complete, tasks.Error, tasks.Died, tasks.Timeout, tasks.Impossible, tasks.Cancelled:
	default:
		return
	}
	if t.Ended.Before(m.since) {
		return // it was counted when it ended
	}
	queue := m.queues.label(t.Queue)
	m.ended.WithLabelValues(queue, string(t.State)).Inc()
	m.owners.WithLabelValues(m.users.label(t.Owner), string(t.State)).Inc()
	for _, a := range t.Past {
		m.attempts.WithLabelValues(a.Cause).Inc()
	}
	if t.Started.IsZero() {
		return
	}
	m.run.WithLabelValues(queue).Observe(max(0, t.Ended.Sub(t.Started)).Seconds())
	if t.Attempt > 1 {
		return
	}
	since := t.Submitted
	if t.NotBefore.After(since) {
		since = t.NotBefore
	}
	m.wait.WithLabelValues(queue).Observe(max(0, t.Started.Sub(since)).Seconds())
}

// names are the labels that have been given out.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

// label is name, or other where there are too many already.
func (n *names) label(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[name] {
		return name
	}
	if len(n.known) >= maxLabels {
		return other
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[name] = true
	return name
}

// Reasons of denied. That somebody has to wait with his tokens is counted where they are
// looked up: 429 is said of full queues, too.
const (
	unauthenticated = "unauthenticated"
	limited         = "limited"
)

var denials = map[int]string{http.StatusUnauthorized: unauthenticated, http.StatusForbidden: "forbidden"}

// observer hears of requests before the next one does.
type observer struct {
	m    *meters
	next front.Observer
}

// Done implements front.Observer.
func (o observer) Done(x *exchange.Exchange, r *http.Request, status int, written int64, took time.Duration) {
	// What a mounted API says of its users is its own business.
	own := x.API == "" || slices.Contains(ownNames, x.API)
	if reason := denials[status]; reason != "" && own {
		o.m.denied.WithLabelValues(reason).Inc()
	}
	o.next.Done(x, r, status, written, took)
}
