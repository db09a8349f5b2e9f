package rpool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeR stands in for R below the pool's seam: processes that are as quick or
// slow, well or ill as a test wants, on the fake clock of its bubble.
type fakeR struct {
	LaunchTime, StartTime, StopTime time.Duration
	LaunchErr                       func(n int) error // of the n-th launch, from 1
	StartErr                        func(n int) error // of the n-th start, from 1
	Spawn                           bool
	RSS                             int64
	NiceErr                         func(n int) error

	mu        sync.Mutex
	launches  int
	starts    int
	starting  int // now
	startPeak int
	up        int // now
	upPeak    int
	lastPid   int
	procs     []*fakeProcess
	templates []*fakeTemplate
	kills     int
	faults    []string // what must not happen
}

func (f *fakeR) launch(ctx context.Context, env *Environment, o *Options) (template, error) {
	f.mu.Lock()
	f.launches++
	n := f.launches
	f.mu.Unlock()
	if err := pause(ctx, f.LaunchTime); err != nil {
		return nil, err
	}
	if f.LaunchErr != nil {
		if err := f.LaunchErr(n); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastPid++
	t := &fakeTemplate{f: f, pid: f.lastPid, exited: make(chan struct{})}
	f.templates = append(f.templates, t)
	return t, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type fakeTemplate struct {
	f      *fakeR
	pid    int
	exited chan struct{}
	once   sync.Once
	closed bool
}

func (t *fakeTemplate) Start(ctx context.Context) (process, error) {
	f := t.f
	f.mu.Lock()
	f.starts++
	n := f.starts
	f.starting++
	f.startPeak = max(f.startPeak, f.starting)
	f.mu.Unlock()
	err := pause(ctx, f.StartTime)
	if err == nil && f.StartErr != nil {
		err = f.StartErr(n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starting--
	if err != nil {
		return nil, err
	}
	f.lastPid++
	f.up++
	f.upPeak = max(f.upPeak, f.up)
	p := &fakeProcess{f: f, t: t, pid: f.lastPid, rss: f.RSS, exited: make(chan struct{}), stopped: make(chan struct{})}
	f.procs = append(f.procs, p)
	return p, nil
}

func (t *fakeTemplate) About() string { return "" }

func (t *fakeTemplate) Forks() (bool, string) {
	if t.f.Spawn {
		return false, "the test wants it"
	}
	return true, ""
}
func (t *fakeTemplate) Exited() <-chan struct{} { return t.exited }
func (t *fakeTemplate) Pid() int                { return t.pid }
func (t *fakeTemplate) exit()                   { t.once.Do(func() { close(t.exited) }) }

func (t *fakeTemplate) Close() {
	f := t.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.closed {
		f.faults = append(f.faults, "a template was closed twice")
	}
	t.closed = true
	for _, p := range f.procs {
		if p.t == t && !p.ended {
			f.faults = append(f.faults, "a template was closed under a living worker")
		}
	}
	t.exit()
}

type fakeProcess struct {
	f       *fakeR
	t       *fakeTemplate
	pid     int
	exited  chan struct{}
	stopped chan struct{}

	// Guarded by f.mu.
	rss    int64
	inUse  bool
	ended  bool
	death  *DiedError
	nices  []int
	served []string      // labels
	stuck  time.Duration // how long it ignores its context, until the ladder kills it
}

// Do knows these functions: "" returns at once, "sleep" after the Timeout,
// "block" when its context ends, "error" signals a condition, "die" ends the
// process, "timeout" runs into the Timeout, "odd" returns an unknown error, and
// "panic" does.
func (p *fakeProcess) Do(ctx context.Context, r *Request) (*Reply, error) {
	f := p.f
	f.mu.Lock()
	if p.inUse {
		f.faults = append(f.faults, "a worker had two requests at a time")
	}
	p.inUse = true
	p.served = append(p.served, r.Label)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		p.inUse = false
		f.mu.Unlock()
	}()
	var over <-chan time.Time
	switch r.Fun {
	case "":
		select {
		case <-p.exited:
			return nil, p.Death()
		default:
		}
		return &Reply{Pid: p.pid}, nil
	case "error":
		return nil, &ConditionError{Message: "no"}
	case "odd":
		return nil, errors.New("the wire is out of step")
	case "panic":
		panic("in Do")
	case "die":
		p.die(&DiedError{Pid: p.pid, Signal: "SIGSEGV"})
		return nil, p.Death()
	case "sleep", "timeout":
		over = time.After(r.Timeout)
	}
	select {
	case <-over:
		if r.Fun == "timeout" {
			return nil, &TimeoutError{After: r.Timeout, Step: "SIGINT"}
		}
		return &Reply{Pid: p.pid}, nil
	case <-ctx.Done():
		if p.stuck > 0 {
			select {
			case <-time.After(p.stuck):
				p.die(&DiedError{Pid: p.pid, Signal: "SIGKILL"})
			case <-p.exited:
			}
		}
		return nil, context.Cause(ctx)
	case <-p.exited:
		return nil, p.Death()
	}
}

// die ends the process as if killed from outside.
func (p *fakeProcess) die(how *DiedError) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.ended {
		return
	}
	p.ended, p.death = true, how
	p.f.up--
	close(p.exited)
}

func (p *fakeProcess) Interrupt() bool {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	return p.inUse
}

func (p *fakeProcess) Pid() int                { return p.pid }
func (p *fakeProcess) Exited() <-chan struct{} { return p.exited }

func (p *fakeProcess) Death() *DiedError {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	return p.death
}

func (p *fakeProcess) CPU() time.Duration { return 0 }

func (p *fakeProcess) RSS() int64 {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	return p.rss
}

func (p *fakeProcess) setRSS(n int64) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.rss = n
}

func (p *fakeProcess) Nice(n int) error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.f.NiceErr != nil {
		if err := p.f.NiceErr(n); err != nil {
			return err
		}
	}
	p.nices = append(p.nices, n)
	return nil
}

func (p *fakeProcess) kill() {
	p.f.mu.Lock()
	p.f.kills++
	p.f.mu.Unlock()
	p.die(&DiedError{Pid: p.pid, Signal: "SIGKILL"})
}

func (p *fakeProcess) Stop() {
	p.f.mu.Lock()
	if p.inUse {
		p.f.faults = append(p.f.faults, "a worker was stopped while it had a request")
	}
	p.f.mu.Unlock()
	if p.f.StopTime > 0 {
		select {
		case <-time.After(p.f.StopTime):
		case <-p.exited:
		}
	}
	p.die(&DiedError{Pid: p.pid})
}

// world is a pool over a fakeR within a bubble.
type world struct {
	*testing.T
	*fakeR
	p *Pool
}

// inBubble runs f on a fake clock with a pool, and checks in the end that the
// pool lets nothing leak.
func inBubble(t *testing.T, o Options, r *fakeR, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := newPool(o, r.launch)
		if err != nil {
			t.Fatal(err)
		}
		p.mayNice.Store(true)
		p.vary = func() float64 { return 0 }
		w := &world{T: t, fakeR: r, p: p}
		defer w.mustEnd()
		f(t, w)
	})
}

// mustEnd closes the pool and checks what must hold at the end of every test.
func (w *world) mustEnd() {
	w.Helper()
	if err := w.p.Close(); err != nil {
		w.Errorf("close: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.up != 0 {
		w.Errorf("%d workers outlive the pool", w.up)
	}
	for _, t := range w.templates {
		if !t.closed {
			w.Errorf("template %d was not closed", t.pid)
		}
	}
	for _, f := range w.faults {
		w.Error(f)
	}
}

func (w *world) acquire(env *Environment, pri Priority) *Lease {
	w.Helper()
	l, err := w.p.Acquire(w.Context(), env, pri)
	if err != nil {
		w.Fatalf("acquire: %v", err)
	}
	return l
}

// waiting starts an Acquire that is expected to wait, and returns where its
// outcome will be found once the bubble has come to rest.
func (w *world) waiting(ctx context.Context, env *Environment, pri Priority) *outcome {
	o := &outcome{}
	go func() {
		l, err := w.p.Acquire(ctx, env, pri)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.l, o.err, o.done, o.at = l, err, true, time.Now()
	}()
	synctest.Wait()
	return o
}

type outcome struct {
	mu   sync.Mutex
	l    *Lease
	err  error
	done bool
	at   time.Time
}

// lease waits until all that can happen now has happened, and returns the lease
// or nil.
func (o *outcome) lease() *Lease {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.l
}

func (o *outcome) error() error {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// after lets the fake clock run for d and everything come to rest.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) total() Counts {
	synctest.Wait()
	return w.p.Stats().Total
}

func (w *world) alive() []*fakeProcess {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var alive []*fakeProcess
	for _, p := range w.procs {
		if !p.ended {
			alive = append(alive, p)
		}
	}
	return alive
}

func environment(name string) *Environment { return &Environment{Packages: []string{name}} }
