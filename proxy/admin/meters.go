package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// meters are the metrics of requests. Which labels they may have is the
// Recorder's to say; only methods and statuses are bounded here.
type meters struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	queue    *prometheus.HistogramVec
	inR      *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	received *prometheus.CounterVec
	sent     *prometheus.CounterVec
	faults   *prometheus.CounterVec
	retries  *prometheus.CounterVec

	series int // of requests; Recorder.mu guards it
}

// routeSeries are the series of one route, made with its first request.
// Recorder.mu guards the map.
type routeSeries struct {
	requests map[requestLabels]prometheus.Counter
	duration prometheus.Observer
}

type requestLabels struct{ method, code string }

// seconds are bounds of buckets: R answers in half a millisecond at best, and
// clients rarely wait for more than a minute.
var seconds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

func newMeters() *meters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	timer := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds}, labels)
	}
	return &meters{
		requests: counter("rpipe_http_requests_total", "Requests answered; code 499 is a client that went away.", "api", "route", "method", "code"),
		duration: timer("rpipe_http_request_duration_seconds", "Time from the head of a request to the end of its answer.", "api", "route"),
		queue:    timer("rpipe_http_queue_seconds", "Time that requests waited for an R worker.", "api"),
		inR:      timer("rpipe_http_r_seconds", "Time that requests were in R.", "api"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rpipe_http_requests_in_flight", Help: "Requests that are being answered."}, []string{"api"}),
		received: counter("rpipe_http_request_bytes_total", "Bytes of the bodies of requests.", "api"),
		sent:     counter("rpipe_http_response_bytes_total", "Bytes of the bodies of answers, as sent.", "api"),
		faults:   counter("rpipe_http_faults_total", "Answers that rpipe gave in R's place, by reason: queue_full, timeout, worker_died and the like.", "api", "reason"),
		retries:  counter("rpipe_http_retries_total", "Times that a request was given to another worker since the one before died.", "api"),
	}
}

func (m *meters) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.duration, m.queue, m.inR, m.inFlight, m.received, m.sent, m.faults, m.retries}
}

// Describe implements prometheus.Collector.
func (rec *Recorder) Describe(to chan<- *prometheus.Desc) {
	for _, c := range rec.meters.all() {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (rec *Recorder) Collect(to chan<- prometheus.Metric) {
	for _, c := range rec.meters.all() {
		c.Collect(to)
	}
}

// done counts a request. Recorder.mu is held.
func (m *meters) done(s *routeSeries, api, route string, r *http.Request, x *exchange.Exchange, status int) {
	if s.requests == nil {
		s.requests = map[requestLabels]prometheus.Counter{}
		s.duration = m.duration.WithLabelValues(api, route)
	}
	labels := requestLabels{method(r.Method), code(status)}
	c := s.requests[labels]
	switch {
	case c == nil && m.series < maxSeries:
		m.series++
		c = m.requests.WithLabelValues(api, route, labels.method, labels.code)
		s.requests[labels] = c
	case c == nil:
		c = m.requests.WithLabelValues(other, other, other, other)
	}
	c.Inc()
	if x.Err != nil {
		m.faults.WithLabelValues(api, fault.Of(x.Err).Reason).Inc()
	}
}

// measure notes times and sizes, which have series of one API or route each.
func (m *meters) measure(duration prometheus.Observer, api string, x *exchange.Exchange, r *http.Request, status int, written int64, took time.Duration) {
	if status != http.StatusSwitchingProtocols {
		duration.Observe(took.Seconds())
	}
	if asked(x) {
		m.queue.WithLabelValues(api).Observe(x.Queue.Seconds())
		m.inR.WithLabelValues(api).Observe(x.R.Seconds())
	}
	if x.Attempts > 1 {
		m.retries.WithLabelValues(api).Add(float64(x.Attempts - 1))
	}
	size := r.ContentLength
	if x.Body != nil {
		size = x.Body.Size
	}
	m.received.WithLabelValues(api).Add(float64(max(size, 0)))
	m.sent.WithLabelValues(api).Add(float64(max(written, 0)))
}

// method is the label of a method: clients may send any word.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return name
	}
	return other
}

// code is the label of a status: R code may answer with any number.
func code(status int) string {
	if status < 100 || status > 599 {
		return other
	}
	return strconv.Itoa(status)
}
