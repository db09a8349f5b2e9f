package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

const (
	// answersWithin is how long parts of this process may take to say how they are, before
	// it counts as stuck.
	answersWithin = 5 * time.Second
	// lagsAfter is how long the index may stand still behind the records.
	lagsAfter = 30 * time.Second
)

// pulse finds out whether this process still does what it is there for.
type pulse struct {
	mu    sync.Mutex
	asked *beat // a question that is not answered yet; nil for none
}

// beat is one question, which all who want to know meanwhile wait for.
type beat struct {
	since time.Time
	done  chan struct{} // closed when it is answered
}

// beats asks all parts whose locks are taken all the time. Who comes while they are asked
// waits for the same answer, and for no longer than who asked.
func (p *pulse) beats(within time.Duration, ask func()) bool {
	p.mu.Lock()
	b := p.asked
	if b == nil {
		b = &beat{time.Now(), make(chan struct{})}
		p.asked = b
		go func() { // it outlives a stuck server, once
			ask()
			p.mu.Lock()
			p.asked = nil
			p.mu.Unlock()
			close(b.done)
		}()
	}
	p.mu.Unlock()
	t := time.NewTimer(time.Until(b.since.Add(within)))
	defer t.Stop()
	select {
	case <-b.done:
		return true
	case <-t.C:
		return false
	}
}

// getHealth answers whether it would help to start this process anew.
func (s *Server) getHealth(w http.ResponseWriter, r *http.Request, _ *who) error {
	out := api.Health{Status: "ok"}
	if err := s.broker.Stopped(); err != nil {
		out.Status, out.Reason = "failed", "the engine has stopped"
	} else if !s.pulse.beats(answersWithin, s.touch) {
		out.Status, out.Reason = "failed", "it is stuck: a part of it has not answered"
	}
	status := http.StatusOK
	if out.Status != "ok" {
		status = http.StatusServiceUnavailable
	}
	if wantsJSON(r) {
		return writeJSON(w, status, &out)
	}
	text := out.Reason
	if text == "" {
		text = out.Status
	}
	return writeText(w, status, text+"\n")
}

// touch takes the locks of the parts.
func (s *Server) touch() {
	s.index.Status()
	if s.pool != nil {
		s.pool.Stats()
	}
	if s.keeper != nil {
		s.keeper.List()
	}
}

// getReadiness answers whether tasks are taken, and what is wrong besides. Messages of
// other parts are for those who may read everybody's tasks.
func (s *Server) getReadiness(w http.ResponseWriter, r *http.Request, _ *who) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	out := s.readiness(ctx)
	asks, err := s.access.identify(r)
	trusted := err == nil && asks.allowed(api.Read)
	text := "ready"
	for i := range out.Checks {
		c := &out.Checks[i]
		if !c.OK && c.Required && text == "ready" {
			text = c.Message
		}
		if !trusted {
			c.Detail = ""
		}
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	if wantsJSON(r) {
		return writeJSON(w, status, &out)
	}
	return writeText(w, status, text+"\n")
}

func wantsJSON(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "json") }

// readiness looks at each part.
func (s *Server) readiness(ctx context.Context) api.Readiness {
	var pool *rpool.Stats
	if s.pool != nil {
		stats := s.pool.Stats()
		pool = &stats
	}
	_, err := s.broker.LastSeq(ctx)
	checks := append(checkEngine(err, s.broker.Health()), checkDrain(s.draining.Load()), s.behind.check(s.index.Status(), time.Now()), checkR(pool))
	leaders, err := s.broker.Present(ctx, "leader")
	leader := api.Check{Name: "leader", OK: err == nil && len(leaders) > 0}
	if !leader.OK {
		leader.Message = "nobody does the chores of the queue at the moment"
	}
	checks = append(checks, leader, s.checkSchedules())
	out := api.Readiness{Ready: true, Checks: checks}
	for _, c := range checks {
		out.Ready = out.Ready && (c.OK || !c.Required)
	}
	return out
}

// checkEngine is about the engine and the disk below it: asked is what it has answered.
func checkEngine(asked, health error) []api.Check {
	engine := api.Check{Name: "engine", OK: true, Required: true}
	disk := api.Check{Name: "disk", OK: true, Required: true}
	switch {
	case errors.Is(health, broker.ErrFull):
		disk.OK, disk.Message, disk.Detail = false, "the store is full", health.Error()
	case asked != nil:
		engine.OK, engine.Message, engine.Detail = false, "the engine does not answer", asked.Error()
	case health != nil:
		engine.OK, engine.Message, engine.Detail = false, "the engine does not answer", health.Error()
	}
	return []api.Check{engine, disk}
}

func checkDrain(draining bool) api.Check {
	if draining {
		return api.Check{Name: "drain", Required: true, Message: "draining"}
	}
	return api.Check{Name: "drain", OK: true, Required: true}
}

// lag is how long the index has stood still behind the records.
type lag struct {
	at atomic.Pointer[struct {
		seq   uint64
		since time.Time
	}]
}

// check is about the index.
func (l *lag) check(x index.Status, now time.Time) api.Check {
	c := api.Check{Name: "index", OK: true, Required: true}
	if x.Last <= x.Seq {
		l.at.Store(nil)
	} else if old := l.at.Load(); old == nil || old.seq != x.Seq {
		l.at.Store(&struct {
			seq   uint64
			since time.Time
		}{x.Seq, now})
	} else if stands := now.Sub(old.since); stands > lagsAfter {
		c.OK, c.Message = false, fmt.Sprintf("the index stands still, %d changes behind", x.Last-x.Seq)
	}
	if x.Rebuilding {
		c.OK, c.Message, c.Detail = false, "the index is being rebuilt", x.Why
	}
	return c
}

// checkR is about the R processes of this machine, where it has any: it fails when no
// environment in use comes up.
func checkR(s *rpool.Stats) api.Check {
	c := api.Check{Name: "r", OK: true, Required: true}
	if s == nil || len(s.Environments) == 0 {
		return c
	}
	for _, e := range s.Environments {
		if e.Failure == "" {
			return c
		}
		c.Detail = e.Failure
	}
	c.OK, c.Message = false, "R does not come up here"
	return c
}

// checkSchedules is about schedules whose last run has failed.
func (s *Server) checkSchedules() api.Check {
	c := api.Check{Name: "schedules", OK: true}
	if s.keeper == nil {
		return c
	}
	var failing []string
	for _, e := range s.keeper.List() {
		if e.Failing && !e.Gone {
			failing = append(failing, e.Name)
		}
	}
	if n := len(failing); n > 0 {
		c.OK, c.Message, c.Detail = false, fmt.Sprintf("the last run of %d schedules has failed", n), strings.Join(failing[:min(n, 20)], ", ")
	}
	return c
}
