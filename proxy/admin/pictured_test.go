//go:build unix

package admin

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

// pictured is a busy proxy with all that the page can show at once.
func pictured(t *testing.T) http.Handler {
	now := time.Now()
	rec := NewRecorder(0)
	rec.started = now.Add(-3*time.Hour - 12*time.Minute)
	rng := rand.New(rand.NewPCG(1, 2))
	// The last minutes are told backwards: a Recorder knows only now.
	put := func(api, route string, perSlot float64, took float64, bad float64) {
		for i := range apiSlots {
			at := now.Add(-time.Duration(apiSlots-1-i) * apiStep)
			wave := 1 + 0.5*math.Sin(float64(i)/7) + 0.25*rng.Float64()
			for range int(perSlot * wave) {
				tr, _ := rec.api(api)
				rt, _ := rec.route(tr, route)
				tr.requests, rt.requests = tr.requests+17, rt.requests+17
				d := time.Duration(took * math.Exp(rng.NormFloat64()*0.6) * float64(time.Second))
				class := class2xx
				switch u := rng.Float64(); {
				case u < bad:
					class = class5xx
				case u < bad+0.03:
					class = class4xx
				}
				for _, w := range []*window{&tr.window, &rt.window} {
					s := w.at(at)
					s.classes[class]++
					s.took.add(d)
					s.queue.add(time.Duration(float64(d) * 0.05 * rng.Float64()))
					s.inR.add(d * 9 / 10)
				}
			}
		}
	}
	put("prices", "/predict", 60, 0.0031, 0.004)
	put("prices", "/quote/<symbol>", 24, 0.012, 0)
	put("prices", "/plot", 3, 0.31, 0.01)
	put("prices", "other", 2, 0.0007, 0)
	put("reports", "/report/<id>", 2, 1.9, 0.05)
	rec.apis["prices"].inFlight = 3

	fail := func(n int, x exchange.Exchange, method, path string, status int, took time.Duration) {
		for range n {
			x.ID = fmt.Sprintf("%016x", rng.Uint64())
			f := failureOf(&x, httptest.NewRequest(method, path, nil), status, took, now.Add(-time.Duration(rng.IntN(200))*time.Second))
			rec.failures.add(f)
		}
	}
	fail(1, exchange.Exchange{API: "reports", Route: "/report/<id>", Worker: 4321, Err: &rpool.DiedError{Pid: 4321, OutOfMemory: true, RSS: 2 << 30, Stderr: "Error: cannot allocate vector of size 1.5 Gb"}}, "GET", "/report/8812", 502, 8*time.Second)
	fail(14, exchange.Exchange{API: "prices", Route: "/predict", Worker: 4302, Err: &rpool.ConditionError{
		Message: "object 'vol' not found", Call: "predict.lm(model, newdata = body)",
		Traceback: []string{"predict(model, newdata = body)", "predict.lm(model, newdata = body)", "model.frame.default(Terms, newdata)", "eval(predvars, data, env)"},
	}}, "POST", "/predict", 500, 4*time.Millisecond)
	fail(2, exchange.Exchange{API: "prices", Route: "/plot", Err: rpool.ErrQueueWait}, "GET", "/plot?token=hidden", 503, 5*time.Second)
	fail(1, exchange.Exchange{API: "reports", Route: "/report/<id>", Worker: 4310, Err: &rpool.TimeoutError{After: 30 * time.Second, Step: "SIGINT"}}, "GET", "/report/<script>alert(1)</script>", 504, 30*time.Second)

	worker := func(pid int, busy bool, pri rpool.Priority, born, since time.Duration, requests int, mib int64) rpool.WorkerStats {
		return rpool.WorkerStats{Pid: pid, Busy: busy, Priority: pri, Born: now.Add(-born), Since: now.Add(-since), Requests: requests, RSS: mib << 20}
	}
	prices := rpool.EnvironmentStats{
		Fingerprint: "p", Sources: []string{"prices/plumber.R"}, Template: 4288, Forks: true,
		Workers: []rpool.WorkerStats{
			worker(4301, true, rpool.Interactive, 3*time.Hour, 12*time.Millisecond, 81232, 214), worker(4302, false, rpool.Interactive, 3*time.Hour, 90*time.Millisecond, 80911, 213),
			worker(4303, true, rpool.Interactive, 3*time.Hour, 4*time.Millisecond, 81077, 216), worker(4388, false, rpool.Interactive, 11*time.Minute, 200*time.Millisecond, 4021, 187),
		},
		Counts: rpool.Counts{Up: 4, Busy: 2, Idle: 2},
	}
	prices.Workers[2].Replacing = "max_requests"
	reports := rpool.EnvironmentStats{
		Fingerprint: "r", Sources: []string{"reports/plumber.R"}, Template: 4290, WhySpawn: "the canary did not answer within 5s: Java was started at load",
		Workers: []rpool.WorkerStats{worker(4310, true, rpool.Interactive, time.Hour, 1400*time.Millisecond, 412, 690)},
		Counts:  rpool.Counts{Up: 1, Busy: 1, Starting: 1},
	}
	nightly := rpool.EnvironmentStats{
		Fingerprint: "n", Sources: []string{"features.R"}, Template: 4295, Forks: true,
		Workers: []rpool.WorkerStats{worker(4331, true, rpool.Bulk, 20*time.Minute, 6*time.Second, 118, 320)},
		Counts:  rpool.Counts{Up: 1, Busy: 1},
	}
	start := &rpool.StartError{Step: "source", What: "labs/plumber.R", Err: errors.New("unexpected symbol at line 14"), Stderr: "Error in parse(file) : labs/plumber.R:14:9: unexpected symbol\n13:   rows <- read.csv(path)\n14:   total mean\n            ^"}
	labs := rpool.EnvironmentStats{Fingerprint: "l", Sources: []string{"labs/plumber.R"}, Failure: start.Error(), Failures: 5, NotBefore: now.Add(12 * time.Second)}
	died := &rpool.DiedError{Pid: 4321, OutOfMemory: true, RSS: 2 << 30, Stderr: "Error: cannot allocate vector of size 1.5 Gb"}
	options := rpool.Options{Min: 2, Max: 8, Reserve: 1, MaxRequests: 100000, MaxMemory: 2 << 30, QueueLength: 1024, QueueWait: 30 * time.Second, IdleTimeout: 5 * time.Minute}
	stats := rpool.Stats{
		Max: 8, Reserve: 1, Environments: []rpool.EnvironmentStats{prices, reports, nightly, labs},
		Total: rpool.Counts{
			Up: 6, Busy: 4, Idle: 2, Starting: 1, WaitingInteractive: 1, WaitingBulk: 3, RSS: 1840 << 20,
			Requests: 1843118, Timeouts: 1, QueueFull: 0, QueueTimeouts: 2, QueueWaitMax: 5 * time.Second, Started: 19,
		},
		Deaths: map[string]int64{"out_of_memory": 1, "timeout": 1}, Recycled: map[string]int64{"max_requests": 12},
		Incidents: []rpool.Incident{{Time: now.Add(-4 * time.Minute), Pid: 4321, Cause: "out_of_memory", Error: died.Error()}},
	}
	stats.QueueWait[rpool.Interactive].Counts = [18]int64{90000, 3000, 400, 200, 90, 20, 4}
	snap := Snapshot{
		Name: "trading", Version: "v0.2.0", Started: rec.started, File: "proxy.yaml",
		APIs: []API{
			{Name: "prices", Path: "/", Transport: "plumber", File: "prices/plumber.R", Docs: "/__docs__/", Pool: "default", Environment: "p", Generation: 3, Since: now.Add(-40 * time.Minute), Tried: now.Add(-40 * time.Minute)},
			{Name: "reports", Path: "/reports", Transport: "plumber", File: "reports/plumber.R", Docs: "/reports/__docs__/", Pool: "default", Environment: "r", Generation: 2, Since: now.Add(-time.Hour), Tried: now.Add(-2 * time.Minute), Err: errors.New("api reports: R: package ggplot2: there is no package called 'ggplot2'")},
			{Name: "labs", Path: "/labs", Transport: "plumber", File: "labs/plumber.R", Pool: "default", Tried: now.Add(-time.Minute), Err: start},
		},
		Pools:     []Pool{{Name: "default", Options: options, Stats: stats}},
		Pipelines: []Pipeline{{Name: "features", File: "features.yaml", Pool: "default", State: "running", Rows: 4211200, Since: now.Add(-20 * time.Minute)}},
	}
	registry := metrics.New()
	return New(Options{Config: Config{Local: true}, Source: &fixed{snap: snap}, Recorder: rec, Metrics: registry.Handler()})
}
