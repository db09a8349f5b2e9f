package rpool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// client is what one caller does in a random history.
type client struct {
	Env      int
	Pri      Priority
	Arrives  time.Duration
	Patience time.Duration // 0 is for ever
	Requests []Request
	Holds    time.Duration // after the last request
}

// event is what happens to the processes meanwhile.
type event struct {
	At       time.Duration
	Nth      int  // of the living processes
	Template bool // the newest template dies instead
	RSS      int64
}

type history struct {
	Options     Options
	R           fakeR
	BrokenFirst int // launches that fail
	BrokenEach  int // every so many starts fail; 0 is none
	Clients     []client
	Events      []event
}

func drawHistory(t *rapid.T) *history {
	ms := func(most int, label string) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * time.Millisecond
	}
	most := rapid.IntRange(1, 4).Draw(t, "max")
	h := &history{Options: Options{
		Max:            most,
		Min:            rapid.IntRange(0, most).Draw(t, "min"),
		MinSpare:       rapid.IntRange(0, 2).Draw(t, "spare"),
		Reserve:        rapid.IntRange(0, most-1).Draw(t, "reserve"),
		MaxRequests:    rapid.IntRange(0, 3).Draw(t, "maxRequests"),
		MaxLifetime:    ms(2000, "maxLifetime"),
		MaxMemory:      int64(rapid.SampledFrom([]int{0, 0, 100}).Draw(t, "maxMemory")),
		MaxTotalMemory: int64(rapid.SampledFrom([]int{0, 0, 120}).Draw(t, "maxTotalMemory")),
		IdleTimeout:    time.Millisecond + ms(3000, "idleTimeout"),
		TemplateIdle:   time.Millisecond + ms(3000, "templateIdle"),
		CheckInterval:  100 * time.Millisecond,
		QueueLength:    rapid.IntRange(1, 40).Draw(t, "queueLength"),
		QueueWait:      ms(1, "waits") * time.Duration(rapid.IntRange(0, 3000).Draw(t, "queueWait")),
	}}
	h.R = fakeR{
		LaunchTime: ms(500, "launch"), StartTime: ms(50, "start"), StopTime: ms(50, "stop"),
		Spawn: rapid.Bool().Draw(t, "spawn"), RSS: 50,
	}
	h.BrokenFirst = rapid.IntRange(0, 2).Draw(t, "brokenFirst")
	h.BrokenEach = rapid.SampledFrom([]int{0, 0, 2, 5}).Draw(t, "brokenEach")
	for range rapid.IntRange(1, 40).Draw(t, "clients") {
		c := client{
			Env:     rapid.IntRange(0, 2).Draw(t, "env"),
			Pri:     rapid.SampledFrom([]Priority{Interactive, Queued, Bulk}).Draw(t, "pri"),
			Arrives: ms(3000, "arrives"),
			Holds:   ms(100, "holds"),
		}
		if rapid.Bool().Draw(t, "impatient") {
			c.Patience = time.Millisecond + ms(500, "patience")
		}
		for range rapid.IntRange(0, 3).Draw(t, "requests") {
			c.Requests = append(c.Requests, Request{
				Kind:    Call,
				Fun:     rapid.SampledFrom([]string{"", "sleep", "sleep", "error", "timeout", "die", "odd"}).Draw(t, "fun"),
				Timeout: ms(200, "time"),
			})
		}
		h.Clients = append(h.Clients, c)
	}
	for range rapid.IntRange(0, 10).Draw(t, "events") {
		h.Events = append(h.Events, event{
			At: ms(4000, "at"), Nth: rapid.IntRange(0, 4).Draw(t, "nth"),
			Template: rapid.Bool().Draw(t, "template"),
			RSS:      int64(rapid.SampledFrom([]int{0, 150}).Draw(t, "rss")),
		})
	}
	return h
}

// Any history of callers, deaths, failures and limits keeps the invariants at
// every moment, and comes to an end.
func TestInvariants(t *testing.T) {
	for range 5 { // a hundred histories each, or -rapid.checks
		rapid.Check(t, func(rt *rapid.T) {
			h := drawHistory(rt)
			var failure error
			synctest.Test(t, func(t *testing.T) { failure = h.play(t) })
			if failure != nil {
				rt.Fatal(failure)
			}
		})
	}
}

func (h *history) play(t *testing.T) error {
	r := &fakeR{LaunchTime: h.R.LaunchTime, StartTime: h.R.StartTime, StopTime: h.R.StopTime, Spawn: h.R.Spawn, RSS: h.R.RSS}
	r.LaunchErr = func(n int) error {
		if n <= h.BrokenFirst {
			return &StartError{Step: "setup"}
		}
		return nil
	}
	r.StartErr = func(n int) error {
		if h.BrokenEach > 0 && n%h.BrokenEach == 0 {
			return &StartError{Step: "fork"}
		}
		return nil
	}
	p, err := newPool(h.Options, r.launch)
	if err != nil {
		return err
	}
	var (
		envs    = []*Environment{environment("a"), environment("b"), environment("c")}
		holders sync.Map // pid → client
		clients sync.WaitGroup
		mu      sync.Mutex
		failed  error
	)
	fail := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			failed = fmt.Errorf(format, args...)
		}
	}
	for i, c := range h.Clients {
		clients.Go(func() {
			after := time.After(c.Arrives)
			<-after
			ctx := context.Background()
			if c.Patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.Patience)
				defer cancel()
			}
			l, err := p.Acquire(ctx, envs[c.Env], c.Pri)
			var start *StartError
			switch {
			case err == nil:
			case errors.Is(err, ErrQueueFull), errors.Is(err, ErrQueueWait) && h.Options.QueueWait > 0,
				errors.Is(err, context.DeadlineExceeded) && c.Patience > 0,
				errors.As(err, &start) && (h.BrokenFirst > 0 || h.BrokenEach > 0):
				return
			default:
				fail("client %d: acquire: %v", i, err)
				return
			}
			if other, held := holders.LoadOrStore(l.Pid(), i); held {
				fail("clients %d and %v hold worker %d", other, i, l.Pid())
			}
			for _, r := range c.Requests {
				l.Do(ctx, &r)
			}
			<-time.After(c.Holds)
			holders.Delete(l.Pid())
			l.Release()
		})
	}
	for _, e := range h.Events {
		time.AfterFunc(e.At, func() {
			r.mu.Lock()
			var alive []*fakeProcess
			for _, p := range r.procs {
				if !p.ended {
					alive = append(alive, p)
				}
			}
			templates := r.templates
			r.mu.Unlock()
			switch {
			case e.Template && len(templates) > 0:
				templates[len(templates)-1].exit()
			case e.Nth < len(alive) && e.RSS > 0:
				alive[e.Nth].setRSS(e.RSS)
			case e.Nth < len(alive):
				alive[e.Nth].die(&DiedError{Pid: alive[e.Nth].pid, Signal: "SIGKILL"})
			}
		})
	}
	finished := make(chan struct{})
	go func() { clients.Wait(); close(finished) }()
	step := 7 * time.Millisecond
	for start := time.Now(); failed == nil; {
		synctest.Wait()
		if err := p.check(r); err != nil {
			fail("%w", err)
		}
		select {
		case <-finished:
		case <-time.After(step):
			switch elapsed := time.Since(start); {
			case elapsed > time.Hour:
				fail("somebody still waits after an hour: %+v", p.Stats())
			case elapsed > 10*time.Second: // only back-offs take so long
				step = time.Second
			}
			continue
		}
		break
	}
	if err := p.Close(); err != nil {
		fail("%w", err)
	}
	<-finished
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		fail("%s", f)
	}
	if r.up != 0 {
		fail("%d workers outlive the pool", r.up)
	}
	for _, t := range r.templates {
		if !t.closed {
			fail("a template outlives the pool")
		}
	}
	if p.used != 0 || p.leased != 0 || p.lower != 0 || p.stopping != 0 || p.rss != 0 || p.waiting != [priorities]int{} {
		fail("after Close: used %d, leased %d, lower %d, stopping %d, rss %d, waiting %v", p.used, p.leased, p.lower, p.stopping, p.rss, p.waiting)
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}

// check finds what is wrong with the pool's books while everything rests.
func (p *Pool) check(r *fakeR) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var used, held, leaving int
	var waiting [priorities]int
	var rss int64
	for _, c := range p.order {
		used += len(c.members) + c.claims + c.leaving
		held += c.leased
		leaving += c.leaving
		if len(c.members) != len(c.idle)+c.leased {
			return fmt.Errorf("%d members, %d idle, %d leased", len(c.members), len(c.idle), c.leased)
		}
		for _, m := range c.members {
			rss += m.rss
		}
		for pri, l := range c.lines {
			n := 0
			for w := l.head; w != nil; w = w.next {
				n++
			}
			if n != l.length {
				return fmt.Errorf("a line of %d says it has %d", n, l.length)
			}
			waiting[pri] += n
			if n > 0 && len(c.idle) > 0 && p.mayLease(Priority(pri)) {
				return fmt.Errorf("%d wait with priority %d while %d workers of theirs are idle", n, pri, len(c.idle))
			}
		}
		if c.inflight > c.claims || c.claims > 0 && c.starters == 0 {
			return fmt.Errorf("%d claims, %d in flight, %d at work on them", c.claims, c.inflight, c.starters)
		}
	}
	most := p.o.Max
	if p.o.MaxRequests > 0 || p.o.MaxLifetime > 0 || p.o.MaxMemory > 0 {
		most++ // a replacement
	}
	r.mu.Lock()
	up := r.up
	r.mu.Unlock()
	switch {
	case used != p.used || held != p.leased || leaving != p.stopping || waiting != p.waiting || rss != p.rss:
		return fmt.Errorf("books: used %d %d, leased %d %d, leaving %d %d, waiting %v %v, rss %d %d",
			used, p.used, held, p.leased, leaving, p.stopping, waiting, p.waiting, rss, p.rss)
	case p.used > most || up > most:
		return fmt.Errorf("%d slots used and %d processes up with Max %d", p.used, up, p.o.Max)
	case p.leased > p.o.Max || p.lower > p.o.Max-p.o.Reserve:
		return fmt.Errorf("%d leases, %d of them not interactive, with Max %d and Reserve %d", p.leased, p.lower, p.o.Max, p.o.Reserve)
	}
	return nil
}
