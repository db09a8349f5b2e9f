package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tokens"
)

// fixed is a Source that says what it is told.
type fixed struct{ snap Snapshot }

func (f *fixed) Snapshot() Snapshot { return f.snap }

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

// serve puts the real front before a handler; listen is YAML of its block.
func serve(t *testing.T, listen string, o front.Observer, h http.Handler) (url string, stop func()) {
	t.Helper()
	var c front.Listen
	doc, problems := configs.Parse("proxy.yaml", []byte("address: 127.0.0.1:0\n"+listen), configs.Variables{})
	if len(problems) == 0 {
		problems = configs.Decode(doc, &c)
	}
	for _, p := range problems {
		t.Fatal(p)
	}
	f, err := front.New(c, front.Deps{Observer: o, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(context.Background(), h) }()
	stop = sync.OnceFunc(func() {
		f.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return "http://" + f.Addr().String(), stop
}

// get asks on a connection of its own.
func get(t *testing.T, url string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// app answers with a handler in R.
type app struct {
	pool *rpool.Pool
	env  *rpool.Environment
	rec  *Recorder
	name string
}

func (p *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.rec.Begin(p.name)()
	x := exchange.Of(r.Context())
	x.API, x.Route = p.name, r.URL.Path
	var trace rpool.Trace
	reply, err := p.pool.Do(r.Context(), p.env, rpool.Interactive, &rpool.Request{Kind: rpool.HTTP, Trace: &trace, HTTP: &rpool.HTTPRequest{
		Vars: []rpool.Field{{Name: "REQUEST_METHOD", Value: r.Method}, {Name: "PATH_INFO", Value: r.URL.Path}},
	}})
	x.Queue, x.R, x.Worker = trace.Queue, trace.Run, trace.Pid
	if err != nil {
		fault.Writer{}.Write(w, r, err)
		return
	}
	w.WriteHeader(reply.HTTP.Status)
	w.Write(reply.HTTP.Body)
}
