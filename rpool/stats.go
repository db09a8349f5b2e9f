package rpool

import (
	"maps"
	"slices"
	"time"
)

// Stats is what a pool does at one moment. The counters only grow.
type Stats struct {
	Max          int // workers that the budget allows
	Reserve      int // of those, the ones only Interactive may take
	Environments []EnvironmentStats
	Total        Counts // over Environments, and those that have ended

	QueueWait [priorities]Histogram // by Priority: how long every request waited for a worker, whether it got one or not
	RunTime   [priorities]Histogram // by Priority: how long requests ran, whatever came out
	Incidents []Incident            // the last 32, the oldest first
	Deaths    map[string]int64      // workers that died or were killed, by Incident.Cause
	Recycled  map[string]int64      // workers replaced, by the option that wanted it: max_requests, max_lifetime or max_memory
}

// EnvironmentStats are the figures of one environment.
type EnvironmentStats struct {
	Fingerprint string
	Packages    []string
	Sources     []string
	Template    int    // pid of the template; 0 while none is up
	Forks       bool   // workers are forked from the template, not started afresh
	WhySpawn    string // why they are not forked
	Failure     string // why the last launch or start failed; "" once one succeeded
	Failures    int    // launches, starts and workers that failed in a row
	// NotBefore is when the next launch or start is tried, after failures; zero
	// where nothing stands against one.
	NotBefore time.Time
	Workers   []WorkerStats // those up, the oldest first
	Counts
}

// WorkerStats is one worker.
type WorkerStats struct {
	Pid       int
	Busy      bool
	Priority  Priority  // of who holds it, or held it last
	Since     time.Time // busy or idle since
	Born      time.Time
	Requests  int // done
	RSS       int64
	Replacing string // the option for which it is to be replaced; "" for none
}

// Counts are figures of workers and requests.
type Counts struct {
	// Now.
	Up                 int   // workers that are idle or busy
	Busy               int   // leased
	Idle               int   // ready
	Starting           int   // on their way up
	Stopping           int   // on their way down
	WaitingInteractive int   // requests in the queue
	WaitingQueued      int   // requests in the queue
	WaitingBulk        int   // requests in the queue
	RSS                int64 // resident bytes of the workers up, as last polled; pages shared with the template count in each

	// Since the pool was made.
	Requests       int64         // done, whatever came out
	BusyTime       time.Duration // of those
	Errors         int64         // of those, ended with an R error
	Timeouts       int64         // of those, stopped at their Timeout
	Canceled       int64         // of those, stopped because their context ended
	Lost           int64         // of those, lost with their worker
	QueueFull      int64         // refused because the queue was full
	QueueTimeouts  int64         // refused after Options.QueueWait
	QueueCanceled  int64         // whose context ended in the queue
	QueueWait      time.Duration // of all who had to wait and were served or refused
	QueueWaitMax   time.Duration
	Launches       int64 // templates that came up
	LaunchFailures int64
	Started        int64 // workers that came up
	StartFailures  int64
	Died           int64 // workers that ended against the pool's will
	Recycled       int64 // workers ended for MaxRequests, MaxLifetime or MaxMemory
	Retired        int64 // workers ended because they were idle, in the way or no longer sure
	OutOfMemory    int64 // busy workers stopped for MaxMemory
}

func (t *Counts) add(c *Counts) {
	t.Up += c.Up
	t.Busy += c.Busy
	t.Idle += c.Idle
	t.Starting += c.Starting
	t.Stopping += c.Stopping
	t.WaitingInteractive += c.WaitingInteractive
	t.WaitingQueued += c.WaitingQueued
	t.WaitingBulk += c.WaitingBulk
	t.RSS += c.RSS
	t.Requests += c.Requests
	t.BusyTime += c.BusyTime
	t.Errors += c.Errors
	t.Timeouts += c.Timeouts
	t.Canceled += c.Canceled
	t.Lost += c.Lost
	t.QueueFull += c.QueueFull
	t.QueueTimeouts += c.QueueTimeouts
	t.QueueCanceled += c.QueueCanceled
	t.QueueWait += c.QueueWait
	t.QueueWaitMax = max(t.QueueWaitMax, c.QueueWaitMax)
	t.Launches += c.Launches
	t.LaunchFailures += c.LaunchFailures
	t.Started += c.Started
	t.StartFailures += c.StartFailures
	t.Died += c.Died
	t.Recycled += c.Recycled
	t.Retired += c.Retired
	t.OutOfMemory += c.OutOfMemory
}

// Stats returns the figures of the pool. It reads no file and asks no process,
// so it may be polled several times a second.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{
		Max: p.o.Max, Reserve: p.o.Reserve,
		Environments: make([]EnvironmentStats, 0, len(p.order)),
		Total:        p.past,
		QueueWait:    p.waits, RunTime: p.runs,
		Incidents: slices.Clone(p.incidents),
		Deaths:    maps.Clone(p.deaths), Recycled: maps.Clone(p.recycled),
	}
	now := time.Now()
	for _, c := range p.order {
		e := EnvironmentStats{
			Fingerprint: c.key,
			Packages:    slices.Clone(c.env.Packages),
			Sources:     slices.Clone(c.env.Sources),
			Counts:      c.counts,
		}
		if c.origin != nil {
			e.Template = c.origin.t.Pid()
			e.Forks, e.WhySpawn = c.origin.t.Forks()
		}
		if c.failure != nil {
			e.Failure = c.failure.Error()
		}
		e.Up, e.Busy, e.Idle, e.Starting = len(c.members), c.leased, len(c.idle), c.claims
		e.Stopping = c.leaving
		e.WaitingInteractive, e.WaitingQueued, e.WaitingBulk = c.lines[Interactive].length, c.lines[Queued].length, c.lines[Bulk].length
		e.Failures = max(c.launches.failures, c.crashes.failures)
		if c.notBefore.After(now) {
			e.NotBefore = c.notBefore
		}
		e.Workers = make([]WorkerStats, len(c.members))
		for i, m := range c.members {
			e.RSS += m.rss
			e.Workers[i] = WorkerStats{
				Pid: m.proc.Pid(), Busy: m.state == leased, Priority: m.pri, Since: m.since, Born: m.born,
				Requests: m.served, RSS: m.rss, Replacing: m.doomed,
			}
		}
		s.Total.add(&e.Counts)
		s.Environments = append(s.Environments, e)
	}
	return s
}
