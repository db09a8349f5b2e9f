package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestTheStatusIsAPageOrJSON(t *testing.T) {
	a, _ := newAdmin(t, &fixed{snap: serving()}, nil)
	f := func(query, accept, want string) {
		t.Helper()
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(a, here, method, host+"/__rpipe__/status"+query, "Accept", accept)
			if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, want) || (w.Body.Len() == 0) != (method == "HEAD") {
				t.Errorf("%s %q %q: %d %s, %d bytes", method, query, accept, w.Code, got, w.Body.Len())
			}
			if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%v", w.Header())
			}
		}
	}
	f("", browser, "text/html")
	f("", "application/json", "application/json")
	f("", "*/*", "application/json")
	f("?format=json", browser, "application/json")
	f("?format=html", "*/*", "text/html")
	if w := ask(a, here, "GET", host+"/__rpipe__/"); w.Code != 302 || w.Header().Get("Location") != "/__rpipe__/status" {
		t.Error(w.Code, w.Header())
	}
}

// TestNothingOthersSayIsMarkup: not in the page's source, which a browser test
// looks at once it is drawn.
func TestNothingOthersSayIsMarkup(t *testing.T) {
	const evil = `</script><script>alert(1)</script><img src=x onerror=alert(1)>"'&` + "\u2028\x00\xff"
	snap := serving()
	snap.Name, snap.APIs[0].Name, snap.APIs[0].Err, snap.Pools[0].Stats.Environments[0].Failure = evil, evil, errors.New(evil), evil
	snap.Pools[0].Stats.Environments[0].Sources = []string{evil}
	a, rec := newAdmin(t, &fixed{snap: snap}, nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.Path, r.Method = "/"+evil, evil
	rec.Done(&exchange.Exchange{ID: evil, API: evil, Route: evil, Output: evil, Err: &rpool.ConditionError{Message: evil}}, r, 500, 0, time.Second)

	w := ask(a, here, "GET", host+"/__rpipe__/status", "Accept", browser)
	text := w.Body.String()
	if n := strings.Count(text, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(text, "<img") || strings.Contains(text, "alert(1)</") {
		t.Error("markup of others is in the page")
	}
	inside := regexp.MustCompile(`(?s)<script type="application/json" id="state">(.*?)</script>`).FindStringSubmatch(text)
	var s state
	if inside == nil || json.Unmarshal([]byte(inside[1]), &s) != nil || len(s.Errors) != 1 || !strings.HasPrefix(s.Name, evil[:20]) {
		t.Errorf("the state in the page is %v", s.Errors)
	}
}

func TestThePolicyLetsOnlyThePageItselfRun(t *testing.T) {
	a, _ := newAdmin(t, &fixed{snap: serving()}, nil)
	w := ask(a, here, "GET", host+"/__rpipe__/status", "Accept", browser)
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Error(policy)
	}
	for _, tag := range []string{"script", "style"} {
		inside := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(w.Body.String(), -1)
		if len(inside) != 1 {
			t.Fatalf("%d elements %s", len(inside), tag)
		}
		sum := sha256.Sum256([]byte(inside[0][1]))
		if !strings.Contains(policy, tag+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("the %s of the page is not that of %q", tag, policy)
		}
	}
	if refs := regexp.MustCompile(`(?:src|href)="?(https?:)?//`).FindAllString(w.Body.String(), -1); refs != nil {
		t.Errorf("the page wants %q", refs)
	}
}

func TestTheStateOfAnAPI(t *testing.T) {
	f := func(want, reason string, change func(*Snapshot)) {
		t.Helper()
		snap := serving()
		change(&snap)
		a, _ := newAdmin(t, &fixed{snap: snap}, nil)
		if got := stateOf(t, a).APIs[0]; got.State != want || got.Reason != reason {
			t.Errorf("%s: %q, want %s: %q", got.State, got.Reason, want, reason)
		}
	}
	f("ready", "", func(*Snapshot) {})
	f("ready", "", func(s *Snapshot) { s.APIs[0].Err = errors.New("new code") })
	f("failed", "new code", func(s *Snapshot) { s.APIs[0].Environment, s.APIs[0].Err = "", errors.New("new code") })
	f("starting", "it has not come up yet", func(s *Snapshot) { s.APIs[0].Environment = "" })
	f("starting", "no worker is up", func(s *Snapshot) { s.Pools[0].Stats.Environments[0].Up = 0 })
	f("failed", "no worker is up: R", func(s *Snapshot) {
		s.Pools[0].Stats.Environments[0].Up, s.Pools[0].Stats.Environments[0].Failure = 0, "R"
	})
	f("draining", "", func(s *Snapshot) { s.Draining = true })
}

func TestThePoolsInJSON(t *testing.T) {
	snap := serving()
	now := time.Now()
	e := &snap.Pools[0].Stats.Environments[0]
	e.Workers = []rpool.WorkerStats{
		{Pid: 1, Born: now.Add(-time.Hour), Since: now.Add(-time.Second), Requests: 5, RSS: 1 << 20},
		{Pid: 2, Busy: true}, {Pid: 3, Busy: true, Priority: rpool.Bulk, Replacing: "max_memory"},
	}
	snap.Pools[0].Options = rpool.Options{Min: 1, MaxMemory: 3 << 29, QueueWait: 90 * time.Second, IdleTimeout: 2 * time.Hour, MaxRequests: 1234567}
	snap.Pools[0].Stats.Incidents = []rpool.Incident{{Pid: 8, Cause: "exit", Error: "first"}, {Pid: 9, Cause: "SIGKILL", Error: "last"}}
	a, _ := newAdmin(t, &fixed{snap: snap}, nil)
	p := stateOf(t, a).Pools[0]
	states := []string{}
	for _, w := range p.Environments[0].Workers {
		states = append(states, w.State)
	}
	if diff := cmp.Diff([]string{"idle", "busy", "bulk"}, states); diff != "" {
		t.Error(diff)
	}
	if w := p.Environments[0].Workers[0]; w.Age < 3600 || w.Age > 3700 || w.For < 1 || w.For > 60 || w.Requests != 5 || w.RSS != 1<<20 {
		t.Errorf("%+v", w)
	}
	if p.Environments[0].Workers[2].Ending != "max_memory" || p.Incidents[0].Pid != 9 || p.Min != 1 || p.Max != 4 {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff([]string{"sums"}, p.Environments[0].APIs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]limit{{"idle_timeout", "2h"}, {"max_requests", "1,234,567"}, {"max_memory", "1.5 GiB"}, {"queue_wait", "1m30s"}}, p.Limits); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyProxyHasNoNullsInItsJSON(t *testing.T) {
	a, _ := newAdmin(t, &fixed{}, nil)
	if text := ask(a, here, "GET", host+"/__rpipe__/status").Body.String(); strings.Contains(text, ":null") {
		t.Error(text)
	}
	b, _ := newAdmin(t, &fixed{snap: serving()}, nil)
	if text := ask(b, here, "GET", host+"/__rpipe__/status").Body.String(); strings.Contains(text, ":null") {
		t.Error(text)
	}
}
