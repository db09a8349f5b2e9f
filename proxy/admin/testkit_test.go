package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tokens"
)

// fixed is a Source that says what it is told.
type fixed struct {
	mu   sync.Mutex
	snap Snapshot
}

func (f *fixed) Snapshot() Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snap
}

func (f *fixed) set(change func(*Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.snap)
}

// serving is a proxy of one API with two workers.
func serving() Snapshot {
	return Snapshot{
		Name: "shop", Version: "rpipe v0.2.0", Started: time.Now().Add(-time.Hour),
		APIs: []API{{Name: "sums", Path: "/", Transport: "plumber", Pool: "default", Environment: "e1", Generation: 1, Since: time.Now()}},
		Pools: []Pool{{Name: "default", Stats: rpool.Stats{Max: 4, Total: rpool.Counts{Up: 2}, Environments: []rpool.EnvironmentStats{{
			Fingerprint: "e1", Forks: true, Template: 100, Counts: rpool.Counts{Up: 2},
			Workers: []rpool.WorkerStats{{Pid: 101, Born: time.Now(), Since: time.Now()}, {Pid: 102, Busy: true, Born: time.Now(), Since: time.Now()}},
		}}}}},
	}
}

func newAdmin(t *testing.T, source Source, store *tokens.Store) (*Admin, *Recorder) {
	t.Helper()
	rec := NewRecorder(0)
	registry := metrics.New()
	registry.Prometheus().MustRegister(rec)
	return New(Options{Config: Config{Local: true}, Source: source, Recorder: rec, Metrics: registry.Handler(), Tokens: store}), rec
}

// ask is an answer to a client at a peer's address.
func ask(h http.Handler, peer, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = peer
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	here    = "127.0.0.1:40000"
	outside = "203.0.113.9:40000"
	host    = "http://localhost:3000"
)

// stateOf is what the status says in JSON.
func stateOf(t *testing.T, a *Admin) state {
	t.Helper()
	w := ask(a, here, "GET", host+"/__rpipe__/status?format=json")
	var s state
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatalf("%d %v: %s", w.Code, err, w.Body)
	}
	return s
}

// app is a handler in R, behind what a front does of interest here.
type app struct {
	pool *rpool.Pool
	env  *rpool.Environment
	rec  *Recorder
	name string
}

func (p *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange.Exchange{ID: fmt.Sprintf("req-%d", time.Now().UnixNano()%1e9), API: p.name, Route: r.URL.Path, Start: time.Now()}
	x.Client = netip.MustParseAddrPort(r.RemoteAddr).Addr()
	ctx := exchange.With(r.Context(), x)
	defer p.rec.Begin(p.name)()
	status, n := p.answer(ctx, w, r.WithContext(ctx), x)
	p.rec.Done(x, r, status, n, time.Since(x.Start))
}

func (p *app) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange.Exchange) (int, int64) {
	var trace rpool.Trace
	reply, err := p.pool.Do(ctx, p.env, rpool.Interactive, &rpool.Request{Kind: rpool.HTTP, Trace: &trace, HTTP: &rpool.HTTPRequest{
		Vars: []rpool.Field{{Name: "REQUEST_METHOD", Value: r.Method}, {Name: "PATH_INFO", Value: r.URL.Path}},
	}})
	x.Queue, x.R, x.Worker = trace.Queue, trace.Run, trace.Pid
	if err != nil {
		f := fault.Of(err)
		fault.Writer{}.Write(w, r, err)
		return f.Status, 0
	}
	w.WriteHeader(reply.HTTP.Status)
	n, _ := w.Write(reply.HTTP.Body)
	return reply.HTTP.Status, int64(n)
}
