//go:build cgo && unix

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/graph"
	"github.com/rpipe-dev/rpipe/rpool"
)

// echo answers with the path that it was asked for.
const echo = `function(req) list(status = 200L, headers = list(), body = req$PATH_INFO)`

// busy is a pipeline whose R function takes a few milliseconds a batch.
func busy(t *testing.T, rows int) *File {
	return put(t, map[string]string{
		"model.R": "work <- function(d) { until <- proc.time()[[3]] + 0.002; while (proc.time()[[3]] < until) {}; d$y <- d$i * 2; d }\n",
		"p.yaml": fmt.Sprintf(`
version: 1
r: {source: [model.R], workers: {max: 1}, limits: {memory: 1GiB}}
source: {range: {rows: %d, column: i}}
stages:
  - batch: {rows: 100}
  - map: {fun: work, rows: same}
sink: {parquet: {path: out}}
`, rows),
	})
}

// TestProxyAndPipelineShareAPool: requests go through the graph of the proxy while
// a run keeps all workers busy that it may have. All are answered, and no row is
// lost.
func TestProxyAndPipelineShareAPool(t *testing.T) {
	pool := workers(t, rpool.Options{Max: 3, Reserve: 1})
	api := &rpool.Environment{Handler: echo}
	if err := pool.Warm(t.Context(), api, 1); err != nil {
		t.Fatal(err)
	}
	front := graph.New(t.Context(), graph.Options{Pool: pool, Env: api, InFlight: 16})
	f := busy(t, 4_000)
	run, err := Start(t.Context(), f, Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	var answered, most atomic.Int64
	var wg sync.WaitGroup
	for k := range 2 {
		wg.Go(func() {
			for i := 0; !ended.Load(); i++ {
				path := fmt.Sprintf("/%d/%d", k, i)
				reply, _, err := front.Do(t.Context(), &rpool.Request{
					Kind: rpool.HTTP, HTTP: &rpool.HTTPRequest{Vars: []rpool.Field{{Name: "PATH_INFO", Value: path}}},
				}, 1)
				if err != nil {
					t.Error(err)
					return
				}
				if string(reply.HTTP.Body) != path {
					t.Errorf("%s was answered with %s", path, reply.HTTP.Body)
				}
				answered.Add(1)
				most.Store(max(most.Load(), int64(run.Snapshot().R.Busy)))
			}
		})
	}
	report, err := run.Wait()
	ended.Store(true)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := rowsOf(t, f, filepath.Join(f.Dir(), "out")); len(got) != 4_000 {
		t.Errorf("%d rows were written", len(got))
	}
	if answered.Load() < 10 || most.Load() == 0 || most.Load() > 2 {
		t.Errorf("%d answers; the run had up to %d workers", answered.Load(), most.Load())
	}
	if report.R.Requests != 40 {
		t.Errorf("the report tells of %d requests, as if those of others were the run's", report.R.Requests)
	}
	if err := front.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// A run ends, drains and stops without its pool, which others need.
func TestRunLeavesASharedPoolOpen(t *testing.T) {
	pool := workers(t, rpool.Options{Max: 2, Reserve: 1})
	api := &rpool.Environment{Handler: echo}
	enough := errors.New("enough")
	for name, end := range map[string]func(*Run, context.CancelCauseFunc){
		"drain": func(r *Run, _ context.CancelCauseFunc) { r.Drain() },
		"stop":  func(_ *Run, stop context.CancelCauseFunc) { stop(enough) },
	} {
		ctx, stop := context.WithCancelCause(t.Context())
		run, err := Start(ctx, busy(t, 100_000_000), Options{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		for s := run.Snapshot(); s.Written() == 0; s = run.Snapshot() {
			if _, err := pool.Do(t.Context(), api, rpool.Interactive, &rpool.Request{Kind: rpool.HTTP, HTTP: &rpool.HTTPRequest{}}); err != nil {
				t.Fatal(err)
			}
		}
		end(run, stop)
		report, err := run.Wait()
		stop(nil)
		if name == "stop" && !errors.Is(err, enough) || name == "drain" && (err != nil || !report.Drained) {
			t.Errorf("%s: %v", name, err)
		}
		if len(run.Meters()) != 4 {
			t.Errorf("%d meters", len(run.Meters()))
		}
		if n := pool.Stats().Total.Busy; n > 0 {
			t.Errorf("%s: %d workers still work for it", name, n)
		}
	}
}

func TestUnsharedWarnsOfWhatASharedPoolDecides(t *testing.T) {
	var said []string
	for _, p := range busy(t, 1).Unshared() {
		if !p.Warning || p.Hint == "" || p.Line != 3 {
			t.Errorf("%+v", p)
		}
		said = append(said, p.Path)
	}
	if got := strings.Join(said, " "); got != "r.workers r.limits.memory" {
		t.Error(got)
	}
	if ps := put(t, map[string]string{"p.yaml": "version: 1\nr: {workers: {max: 3}}\nsource: {range: {rows: 1}}" + anySink}).Unshared(); ps != nil {
		t.Error("a pipeline without R has no workers:", ps)
	}
}
