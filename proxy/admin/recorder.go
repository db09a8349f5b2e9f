package admin

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// Recorder sees every request that the proxy has answered. It keeps what the
// status page shows of the last minutes and is a prometheus.Collector of all
// since the start. Its memory is bounded whatever clients ask for. Its methods
// are safe for concurrent use.
type Recorder struct {
	meters *meters

	mu       sync.Mutex
	started  time.Time
	apis     map[string]*traffic
	routes   int // over all APIs
	failures failures
}

const statusClientGone = fault.StatusClientGone

// Bounds of what is told apart. What comes after has the name "other".
const (
	maxAPIs         = 100
	maxRoutesOfAPI  = 200
	maxRoutes       = 500  // over all APIs
	maxSeries       = 5000 // of rpipe_http_requests_total
	other           = "other"
	apiStep         = 5 * time.Second // the graphs of the page have its grain
	apiSlots        = 60
	routeStep       = time.Minute
	routeSlots      = 5
	noAPI           = "none" // of requests that are for no API
	maxFailureText  = 8 << 10
	maxFailurePath  = 256
	defaultFailures = 100
)

// traffic is what is known of the requests of one API.
type traffic struct {
	window   window
	routes   map[string]*route
	requests int64
	inFlight int
}

// route is what is known of the requests of one route.
type route struct {
	window   window
	requests int64
	series   routeSeries
}

// NewRecorder makes a Recorder that remembers so many errors; 0 is 100.
func NewRecorder(errors int) *Recorder {
	if errors <= 0 {
		errors = defaultFailures
	}
	return &Recorder{meters: newMeters(), started: time.Now(), apis: map[string]*traffic{}, failures: failures{most: errors}}
}

// Begin notes that a request of an API is under way, until end is called.
func (rec *Recorder) Begin(api string) (end func()) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	t, api := rec.api(api)
	t.inFlight++
	gauge := rec.meters.inFlight.WithLabelValues(api)
	gauge.Inc()
	return func() {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		t.inFlight--
		gauge.Dec()
	}
}

// Done notes a request that has been answered: with which status (0: none, since
// the client has gone), a body of how many bytes, and how long after it came in.
// Connections that became websockets end here too, and do not count among
// latencies.
func (rec *Recorder) Done(x *exchange.Exchange, r *http.Request, status int, written int64, took time.Duration) {
	if status == 0 {
		status = statusClientGone
	}
	duration, api := rec.count(x, r, status, took)
	rec.meters.measure(duration, api, x, r, status, written, took)
}

// count is what Done does under the lock.
func (rec *Recorder) count(x *exchange.Exchange, r *http.Request, status int, took time.Duration) (duration prometheus.Observer, api string) {
	now := time.Now()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	t, api := rec.api(x.API)
	rt, name := rec.route(t, x.Route)
	t.requests++
	rt.requests++
	for _, w := range []*window{&t.window, &rt.window} {
		s := w.at(now)
		s.classes[classOf(status)]++
		if status == http.StatusSwitchingProtocols {
			continue
		}
		s.took.add(took)
		if asked(x) {
			s.queue.add(x.Queue)
			s.inR.add(x.R)
		}
	}
	if status >= 500 {
		rec.failures.add(failureOf(x, r, status, took, now))
	}
	rec.meters.done(&rt.series, api, name, r, x, status)
	return rt.series.duration, api
}

// asked reports whether a request came as far as to want a worker.
func asked(x *exchange.Exchange) bool { return x.Queue > 0 || x.R > 0 || x.Worker != 0 }

// api is the traffic of an API, and its label. rec.mu is held.
func (rec *Recorder) api(name string) (*traffic, string) {
	name = strings.ToValidUTF8(cmp.Or(name, noAPI), "\uFFFD") // as labels have to be
	t := rec.apis[name]
	if t == nil && len(rec.apis) >= maxAPIs {
		name = other
		t = rec.apis[name]
	}
	if t == nil {
		t = &traffic{window: newWindow(apiStep, apiSlots), routes: map[string]*route{}}
		rec.apis[name] = t
	}
	return t, name
}

// route is the record of a route, and its label. rec.mu is held.
func (rec *Recorder) route(t *traffic, name string) (*route, string) {
	name = strings.ToValidUTF8(cmp.Or(name, other), "\uFFFD")
	rt := t.routes[name]
	if rt == nil && name != other {
		if len(t.routes) >= maxRoutesOfAPI || rec.routes >= maxRoutes || len(name) > maxFailurePath {
			return rec.route(t, other)
		}
		rec.routes++
	}
	if rt == nil {
		rt = &route{window: newWindow(routeStep, routeSlots)}
		t.routes[name] = rt
	}
	return rt, name
}
