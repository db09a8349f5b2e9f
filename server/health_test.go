package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tokens"
)

func (s *site) readinessNow(t *testing.T, header ...string) (int, api.Readiness) {
	t.Helper()
	status, _, body := s.ask(t, "GET", "/readyz", "", append(header, "Accept", "application/json")...)
	var out api.Readiness
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	return status, out
}

func checkNamed(t *testing.T, r api.Readiness, name string) api.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %s in %+v", name, r)
	return api.Check{}
}

func TestReadinessHasEachPart(t *testing.T) {
	s := serve(t, nil)
	status, out := s.readinessNow(t)
	if status != 200 || !out.Ready {
		t.Errorf("%d %+v", status, out)
	}
	for _, name := range []string{"engine", "disk", "drain", "index", "r", "leader", "schedules"} {
		checkNamed(t, out, name)
	}
	s.draining.Store(true)
	status, out = s.readinessNow(t)
	if c := checkNamed(t, out, "drain"); status != 503 || out.Ready || c.OK || c.Message != "draining" {
		t.Errorf("%d %+v", status, out)
	}
	if status, _, text := s.ask(t, "GET", "/readyz", ""); status != 503 || text != "draining\n" {
		t.Errorf("%d %s", status, text)
	}
	s.draining.Store(false)
	if status, _, text := s.ask(t, "GET", "/healthz", ""); status != 200 || text != "ok\n" {
		t.Errorf("%d %s", status, text)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel() // the engine has no time to answer
	out = s.readiness(late)
	if c := checkNamed(t, out, "engine"); out.Ready || c.OK || c.Detail == "" {
		t.Errorf("%+v", out)
	}
}

func TestReadinessFailsWhereRDoesNotComeUp(t *testing.T) {
	s := serve(t, func(f *File) {
		f.Workers.None, f.Workers.Max, f.R.Setup = false, 1, "stop('broken on purpose')"
	})
	j := submit(t, s.c, `{"expr": "1"}`)
	limit := time.After(time.Minute)
	for {
		status, out := s.readinessNow(t)
		if c := checkNamed(t, out, "r"); !c.OK {
			if status != 503 || !strings.Contains(c.Detail, "broken on purpose") || c.Message != "R does not come up here" {
				t.Errorf("%d %+v", status, c)
			}
			if _, out = s.readinessNow(t, "Authorization", "Bearer "+s.token(t, "bob", tokens.Submit)); checkNamed(t, out, "r").Detail != "" {
				t.Errorf("what R says is told to somebody who may only submit: %+v", out)
			}
			break
		}
		select {
		case <-limit:
			t.Fatalf("it is ready after a minute; job %s", j.ID)
		case <-time.After(50 * time.Millisecond): // R tries, and says nothing when it has failed
		}
	}
}

func TestWhatFailsReadiness(t *testing.T) {
	f := func(c api.Check, ok bool, message string) {
		t.Helper()
		if c.OK != ok || c.Message != message || !c.Required {
			t.Errorf("%+v", c)
		}
	}
	full := fmt.Errorf("%w: the disk has 3 MiB left", broker.ErrFull)
	f(checkEngine(nil, full)[0], true, "")
	f(checkEngine(nil, full)[1], false, "the store is full")
	f(checkEngine(errors.New("away"), nil)[0], false, "the engine does not answer")
	f(checkEngine(nil, errors.New("away"))[0], false, "the engine does not answer")

	var l lag
	start := time.Now()
	f(l.check(index.Status{Seq: 5, Last: 9}, start), true, "")
	f(l.check(index.Status{Seq: 5, Last: 9}, start.Add(lagsAfter)), true, "")
	f(l.check(index.Status{Seq: 5, Last: 12}, start.Add(lagsAfter+1)), false, "the index stands still, 7 changes behind")
	f(l.check(index.Status{Seq: 6, Last: 12}, start.Add(lagsAfter+2)), true, "")
	f(l.check(index.Status{Seq: 12, Last: 12}, start.Add(lagsAfter+3)), true, "")
	f(l.check(index.Status{Seq: 12, Last: 13}, start.Add(3*lagsAfter)), true, "")
	f(l.check(index.Status{Rebuilding: true}, start), false, "the index is being rebuilt")

	broken := rpool.EnvironmentStats{Failure: "no package x"}
	f(checkR(nil), true, "")
	f(checkR(&rpool.Stats{Environments: []rpool.EnvironmentStats{broken, {}}}), true, "")
	f(checkR(&rpool.Stats{Environments: []rpool.EnvironmentStats{broken}}), false, "R does not come up here")
}

func TestAStuckPartIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pulse
		if !p.beats(time.Second, func() {}) {
			t.Error("it does not beat")
		}
		held := make(chan struct{})
		if p.beats(time.Second, func() { <-held }) {
			t.Error("a part that does not answer goes unnoticed")
		}
		if p.beats(time.Second, func() { t.Error("asked again while it is stuck") }) {
			t.Error("it beats while it is stuck")
		}
		close(held)
		synctest.Wait()
		if !p.beats(time.Second, func() {}) {
			t.Error("it does not beat again")
		}

		// Two who ask at the same time, such as an orchestrator and a monitor.
		answers := make(chan bool)
		for range 2 {
			go func() { answers <- p.beats(time.Second, func() { time.Sleep(time.Millisecond) }) }()
		}
		if first, second := <-answers, <-answers; !first || !second {
			t.Error("a part that is being asked counts as stuck")
		}
	})
}

func TestProfilesAreForAdmins(t *testing.T) {
	s := serve(t, nil)
	f := func(want int, method, path string, header ...string) {
		t.Helper()
		if status, _, body := s.ask(t, method, path, "", header...); status != want {
			t.Errorf("%s %s: %d, want %d: %.200s", method, path, status, want, body)
		}
	}
	bearer := func(scope tokens.Scope) string { return "Bearer " + s.token(t, "bob", scope) }
	admin, read, submit := bearer(tokens.Admin), bearer(tokens.Read), bearer(tokens.Submit)
	s.as(t, "bob", tokens.Read)                     // returns when the server knows it, and those before
	f(200, "GET", "/debug/pprof/goroutine?debug=1") // its own user, from this machine
	f(200, "GET", "/debug/pprof/", "Authorization", admin)
	f(403, "GET", "/debug/pprof/heap", "Authorization", read)
	f(403, "GET", "/debug/pprof/heap", "Authorization", submit)
	f(401, "GET", "/debug/pprof/heap", "Authorization", "Bearer rpt_no")
	f(404, "GET", "/debug/pprof/cmdline")
	f(405, "POST", "/debug/pprof/heap")
	f(400, "GET", "/debug/pprof/profile?seconds=3600")
	got := 0
	for range profilesPerMinute + 5 {
		if status, h, _ := s.ask(t, "GET", "/debug/pprof/nothing", ""); status == 429 && h.Get("Retry-After") != "" {
			got++
		}
	}
	if got == 0 {
		t.Error("there is no limit")
	}
}

// TestProfilesWantATokenFromElsewhere: also where everybody may do everything else.
func TestProfilesWantATokenFromElsewhere(t *testing.T) {
	s := serve(t, func(f *File) { f.Listen.TrustedProxies = append(f.Listen.TrustedProxies, loopbackNetwork(t)) })
	s.access.insecure = true
	from := []string{"X-Forwarded-For", "192.0.2.7"}
	if status, _, body := s.ask(t, "GET", "/v1/info", "", from...); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, _, body := s.ask(t, "GET", "/debug/pprof/heap", "", from...); status != 401 {
		t.Errorf("%d %.200s", status, body)
	}
	token := s.token(t, "bob", tokens.Admin)
	if status, _, body := s.ask(t, "GET", "/debug/pprof/heap", "", append(from, "Authorization", "Bearer "+token)...); status != 200 {
		t.Errorf("%d %.200s", status, body)
	}
}
