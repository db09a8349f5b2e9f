package admin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/rpool"
)

// done tells rec of an answer.
func done(rec *Recorder, api, route, method string, status int, took time.Duration) {
	x := &exchange.Exchange{ID: "1", API: api, Route: route, Queue: took / 10, R: took / 2, Worker: 7}
	rec.Done(x, httptest.NewRequest(method, "/", nil), status, 10, took)
}

func TestRequestsAreCounted(t *testing.T) {
	a, rec := newAdmin(t, &fixed{snap: serving()}, nil)
	f := func(x *exchange.Exchange, method string, status int, written int64, took time.Duration) {
		rec.Done(x, httptest.NewRequest(method, "/a?b=c", strings.NewReader("body")), status, written, took)
	}
	f(&exchange.Exchange{API: "sums", Route: "/sum", Queue: 2 * time.Millisecond, R: 3 * time.Millisecond, Attempts: 1}, "GET", 200, 100, 6*time.Millisecond)
	f(&exchange.Exchange{API: "sums", Route: "/sum", Queue: 2 * time.Millisecond, R: 3 * time.Millisecond, Attempts: 3, Body: &exchange.Body{Size: 1000}}, "POST", 200, 100, 6*time.Millisecond)
	f(&exchange.Exchange{API: "sums", Route: "/sum", Err: rpool.ErrQueueFull}, "BREW", 503, 50, time.Millisecond)
	f(&exchange.Exchange{API: "sums", Route: "/ws"}, "GET", 101, 5000, time.Hour)
	f(&exchange.Exchange{Route: ""}, "GET", 404, 0, time.Millisecond)
	f(&exchange.Exchange{API: "sums", Route: "/sum", Err: fault.ErrClientGone}, "GET", 499, 0, time.Second)
	f(&exchange.Exchange{API: "sums", Route: "/sum"}, "GET", 12345, 0, time.Second)
	end := rec.Begin("sums")
	defer end()
	rec.Begin("sums")()
	want := `rpipe_http_faults_total{api="sums",reason="client_gone"} 1
rpipe_http_faults_total{api="sums",reason="queue_full"} 1
rpipe_http_request_bytes_total{api="none"} 4
rpipe_http_request_bytes_total{api="sums"} 1020
rpipe_http_requests_in_flight{api="sums"} 1
rpipe_http_requests_total{api="none",code="404",method="GET",route="other"} 1
rpipe_http_requests_total{api="sums",code="101",method="GET",route="/ws"} 1
rpipe_http_requests_total{api="sums",code="200",method="GET",route="/sum"} 1
rpipe_http_requests_total{api="sums",code="200",method="POST",route="/sum"} 1
rpipe_http_requests_total{api="sums",code="499",method="GET",route="/sum"} 1
rpipe_http_requests_total{api="sums",code="503",method="other",route="/sum"} 1
rpipe_http_requests_total{api="sums",code="other",method="GET",route="/sum"} 1
rpipe_http_response_bytes_total{api="none"} 0
rpipe_http_response_bytes_total{api="sums"} 5250
rpipe_http_retries_total{api="sums"} 2`
	histograms := regexp.MustCompile(`^rpipe_http_(request_duration|queue|r)_seconds`)
	var got []string
	durations := 0
	for line := range strings.Lines(ask(a, here, "GET", host+"/__rpipe__/metrics").Body.String()) {
		if strings.HasPrefix(line, "rpipe_http_request_duration_seconds_count") {
			durations++
		}
		if strings.HasPrefix(line, "rpipe_http_") && !histograms.MatchString(line) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), got); diff != "" {
		t.Error(diff)
	}
	// The websocket of an hour is no latency; what never came to R waited for none.
	if durations != 3 {
		t.Errorf("%d histograms of durations", durations)
	}
	recent := new(slot)
	for _, l := range rec.apis["sums"].window.last(time.Now()) {
		recent.merge(l)
	}
	if recent.took.max >= time.Hour || recent.queue.n != 2 {
		t.Errorf("took at most %v, %d waited", recent.took.max, recent.queue.n)
	}
}

// TestWhatClientsAskForDoesNotGrowTheMetrics: routes are patterns, but whatever
// comes in their place, as from an API that makes routes as it goes, is bounded.
func TestWhatClientsAskForDoesNotGrowTheMetrics(t *testing.T) {
	rec := NewRecorder(0)
	registry := prometheus.NewRegistry()
	registry.MustRegister(rec)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		x := &exchange.Exchange{API: fmt.Sprint("api", rng.IntN(3)), Route: fmt.Sprintf("/%x", rng.Uint64())}
		if i%10 == 0 {
			x.API = fmt.Sprint(rng.Uint64())
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = fmt.Sprintf("M%d", rng.IntN(1000))
		rec.Done(x, r, 100+rng.IntN(900), 0, time.Millisecond)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		n := len(f.Metric)
		most := maxAPIs + 1
		switch f.GetName() {
		case "rpipe_http_requests_total":
			most = maxSeries + 1
			for _, m := range f.Metric {
				total += m.GetCounter().GetValue()
			}
		case "rpipe_http_request_duration_seconds":
			most = maxRoutes + maxAPIs + 1
		}
		if n > most {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
	}
	if total != 100_000 {
		t.Errorf("%v requests counted", total)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB in use", m.HeapAlloc>>20)
	}
	// An API that floods does not take the names of another.
	a, calm := newAdmin(t, &fixed{snap: serving()}, nil)
	for i := range 10_000 {
		done(calm, "wild", fmt.Sprint("/", i), "GET", 200, time.Millisecond)
	}
	done(calm, "sums", "/sum", "GET", 200, time.Millisecond)
	if s := stateOf(t, a); len(s.APIs[0].Routes) != 1 || s.APIs[0].Routes[0].Route != "/sum" {
		t.Errorf("%+v", s.APIs[0].Routes)
	}
	if n := len(calm.apis["wild"].routes); n != maxRoutesOfAPI+1 {
		t.Errorf("%d routes of one API", n)
	}
}

func TestTheStatusIsOfTheLastMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, rec := newAdmin(t, &fixed{snap: serving()}, nil)
		for range 100 {
			done(rec, "sums", "/sum", "GET", 200, 100*time.Millisecond)
			time.Sleep(100 * time.Millisecond)
		}
		s := stateOf(t, a).APIs[0]
		if s.Rate < 9.9 || s.Rate > 10.1 || s.Window != 10 || s.Statuses.OK != 100 {
			t.Errorf("%+v", s.Traffic)
		}
		time.Sleep(4 * time.Minute)
		done(rec, "sums", "/sum", "GET", 500, time.Second)
		s = stateOf(t, a).APIs[0]
		if s.Statuses.OK != 100 || s.Statuses.Error != 1 || s.Took.P99 < 0.095 || s.Took.P99 > 0.105 || s.Took.Max != 1 {
			t.Errorf("%+v", s.Traffic)
		}
		if r := s.Routes[0]; r.Statuses != s.Statuses || r.Requests != 101 {
			t.Errorf("%+v", r)
		}
		time.Sleep(time.Minute)
		s = stateOf(t, a).APIs[0]
		if s.Statuses.OK != 0 || s.Statuses.Error != 1 || s.Requests != 101 || s.Took.P50 != 1 {
			t.Errorf("%+v", s.Traffic)
		}
		time.Sleep(time.Hour)
		s = stateOf(t, a).APIs[0]
		if s.Rate != 0 || s.Took.P50 != 0 || len(s.History.Counts) != apiSlots || s.Requests != 101 {
			t.Errorf("%+v", s.Traffic)
		}
	})
}

// telling is an observer that lets a test know.
type telling chan struct{}

func (c telling) Done(*exchange.Exchange, *http.Request, int, int64, time.Duration) { c <- struct{}{} }

// observers are several, one after the other.
type observers []front.Observer

func (all observers) Done(x *exchange.Exchange, r *http.Request, status int, written int64, took time.Duration) {
	for _, o := range all {
		o.Done(x, r, status, written, took)
	}
}

func TestWhoLooksAtTheStatusIsNotCountedInIt(t *testing.T) {
	a, rec := newAdmin(t, &fixed{snap: serving()}, nil)
	told := make(telling, 10)
	url, _ := serve(t, "", observers{rec, told}, a.Before(http.NotFoundHandler()))
	for _, path := range []string{"health", "status", "made-up", "made-up-too"} {
		get(t, url+Prefix+path)
		<-told
	}
	if s := stateOf(t, a); s.Total.Requests != 0 || s.Total.Statuses.OK != 0 {
		t.Errorf("%+v", s.Total)
	}
	text := ask(a, here, "GET", host+"/__rpipe__/metrics").Body.String()
	for _, want := range []string{
		`{api="__rpipe__",code="200",method="GET",route="/__rpipe__/health"} 1`,
		`{api="__rpipe__",code="404",method="GET",route="other"} 2`,
	} {
		if !strings.Contains(text, "rpipe_http_requests_total"+want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestErrorsAreRememberedAndNotRepeated(t *testing.T) {
	a, rec := newAdmin(t, &fixed{snap: serving()}, nil)
	f := func(x exchange.Exchange, target string, status int) {
		x.API, x.Route = "sums", "/sum"
		rec.Done(&x, httptest.NewRequest("GET", target, nil), status, 0, time.Millisecond)
	}
	condition := &rpool.ConditionError{Message: "no such column", Call: "f(x)", Traceback: []string{"g()", "f(x)"}}
	for i := range 1000 {
		f(exchange.Exchange{ID: fmt.Sprint(i), Err: &fault.Fault{Status: 500, Reason: "r_error", Err: condition}, Worker: 7}, fmt.Sprintf("/sum/%d?key=secret", i), 500)
	}
	f(exchange.Exchange{ID: "a", Output: "Error in h(): boom\n"}, "/sum", 500)
	f(exchange.Exchange{ID: "b", Err: errors.New("not found")}, "/sum", 404)
	f(exchange.Exchange{ID: "c", Err: fault.ErrClientGone}, "/sum", 499)
	list := stateOf(t, a).Errors
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	if e := list[0]; e.Reason != "" || e.Message != "Error in h(): boom" || e.Details != "" || e.ID != "a" {
		t.Errorf("%+v", e)
	}
	e := list[1]
	if e.Count != 1000 || e.ID != "999" || e.Path != "/sum/999" || e.Message != "R error in f(x): no such column" || e.Details != "g()\nf(x)" || e.Worker != 7 {
		t.Errorf("%+v", e)
	}
	for i := range 500 {
		f(exchange.Exchange{Err: fmt.Errorf("%d %s", i, strings.Repeat("é", 100_000))}, "/"+strings.Repeat("é", 10_000), 502)
	}
	list = stateOf(t, a).Errors
	if len(list) != defaultFailures || list[0].Message[:3] != "499" || len(list[0].Message) > 2<<10 || len(list[0].Details) > maxFailureText+3 || len(list[0].Path) > maxFailurePath+3 {
		t.Errorf("%d errors, the first of %d and %d bytes", len(list), len(list[0].Message), len(list[0].Details))
	}
}

func TestTheRecorderMayBeUsedByAllAtOnce(t *testing.T) {
	a, rec := newAdmin(t, &fixed{snap: serving()}, nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				end := rec.Begin("sums")
				done(rec, "sums", fmt.Sprint("/", j%5), "GET", 200+100*(i%4), time.Duration(j)*time.Millisecond)
				end()
				if j%50 == 0 {
					stateOf(t, a)
					ask(a, here, "GET", host+"/__rpipe__/metrics")
				}
			}
		})
	}
	all.Wait()
	if s := stateOf(t, a).APIs[0]; s.Requests != 1600 || s.InFlight != 0 {
		t.Errorf("%+v", s.Traffic)
	}
}

func BenchmarkDone(b *testing.B) {
	rec := NewRecorder(0)
	x := &exchange.Exchange{ID: "1", API: "sums", Route: "/sum", Queue: time.Millisecond, R: time.Millisecond, Worker: 7}
	r := httptest.NewRequest("GET", "/sum", nil)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			rec.Done(x, r, 200, 10, 3*time.Millisecond)
		}
	})
}

// TestThePageOfMetricsIsRight: docs/status.md has every metric with its labels.
func TestThePageOfMetricsIsRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	rec := NewRecorder(0)
	descs := make(chan *prometheus.Desc, 100)
	rec.Describe(descs)
	close(descs)
	n := 0
	for d := range descs {
		n++
		m := regexp.MustCompile(`fqName: "(\w+)", help: "([^"]*)", .*constLabels: {}, variableLabels: {([^}]*)}`).FindStringSubmatch(d.String())
		if m == nil {
			t.Fatal(d)
		}
		labels := "`" + strings.ReplaceAll(m[3], ",", "`, `") + "`"
		if line := regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\| \\w+ \\| (.*) \\| (.*) \\|$").FindStringSubmatch(string(page)); line == nil || line[1] != labels || line[2] != m[2] {
			t.Errorf("docs/status.md says of %s %q, want %s | %s", m[1], line, labels, m[2])
		}
	}
	if in := strings.Count(string(page), "\n| `rpipe_http"); in != n {
		t.Errorf("docs/status.md has %d metrics, there are %d", in, n)
	}
}
