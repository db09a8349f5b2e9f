package server

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// series are figures of the last day: what ended when, how long it took and had waited,
// what was in the queues, how many R processes were busy. They are kept in memory, in
// two rings, and begin anew with the server.
type series struct {
	since time.Time
	now   func() time.Time

	mu   sync.Mutex
	fine ring // an hour
	day  ring
}

// ring has a slot for each step of the last time, used round and round.
type ring struct {
	step  time.Duration
	slots []*slot
}

// slot is what happened in one step.
type slot struct {
	number    int64    // of the step since 1970
	ended     [3]int64 // complete, failed, cancelled
	run, wait spread
	sample    *sample // the last one; nil for none
}

// sample is how things stood at a time.
type sample struct {
	queues  map[string][2]int64 // pending with deferred, running
	workers api.WorkerSample
}

const (
	fineStep  = 5 * time.Second
	fineSlots = 720
	dayStep   = 8 * time.Minute
	daySlots  = 180
	barsAtAll = 180 // steps of an answer
)

// ranges are those that can be asked for: how many slots make a step of an answer.
var ranges = map[string]struct {
	day   bool
	slots int
}{"15m": {false, 1}, "1h": {false, 4}, "24h": {true, 1}}

func newSeries() *series {
	return &series{
		since: time.Now(), now: time.Now,
		fine: ring{fineStep, make([]*slot, fineSlots)}, day: ring{dayStep, make([]*slot, daySlots)},
	}
}

// at is the slot of a time; nil where it is before the ring.
func (r *ring) at(t, now time.Time) *slot {
	number := t.UnixNano() / int64(r.step)
	if last := now.UnixNano() / int64(r.step); number <= last-int64(len(r.slots)) || number > last {
		return nil
	}
	p := &r.slots[number%int64(len(r.slots))]
	if *p == nil || (*p).number != number {
		*p = &slot{number: number}
	}
	return *p
}

// see counts a task that has ended. It is called by the feed of the index, which it must
// not hold up.
func (s *series) see(t *tasks.Task) {
	kind := 0
	switch t.State {
	case tasks.Complete:
	case tasks.Error, tasks.Died, tasks.Timeout, tasks.Impossible:
		kind = 1
	case tasks.Cancelled:
		kind = 2
	default:
		return
	}
	now, ended := s.now(), t.Ended
	if ended.After(now) { // by the clock of another machine
		ended = now
	}
	if ended.Before(s.since) {
		return // it was counted when it ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range []*slot{s.fine.at(ended, now), s.day.at(ended, now)} {
		if slot == nil {
			continue
		}
		slot.ended[kind]++
		if t.Started.IsZero() || kind == 2 {
			continue
		}
		slot.run.add(t.Ended.Sub(t.Started))
		if t.Attempt <= 1 {
			from := t.Submitted
			if t.NotBefore.After(from) {
				from = t.NotBefore
			}
			slot.wait.add(t.Started.Sub(from))
		}
	}
}

// take keeps how things stand.
func (s *series) take(now time.Time, p *sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fine.at(now, now).sample = p
	s.day.at(now, now).sample = p
}

// sampleSeries looks at the queues and workers until the server ends.
func (s *Server) sampleSeries() {
	t := time.NewTicker(fineStep)
	defer t.Stop()
	for {
		if p, err := s.sample(s.ctx); err == nil {
			s.series.take(s.series.now(), p)
		} else if s.ctx.Err() == nil {
			s.log.Debug("no figures of the queues", "error", err)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Server) sample(ctx context.Context) (*sample, error) {
	ctx, cancel := context.WithTimeout(ctx, fineStep)
	defer cancel()
	queues, err := s.queue.Queues(ctx)
	if err != nil {
		return nil, err
	}
	workers, err := s.queue.Workers(ctx)
	if err != nil {
		return nil, err
	}
	p := &sample{queues: make(map[string][2]int64, len(queues)), workers: api.WorkerSample{Known: true}}
	for _, q := range queues {
		p.queues[q.Name] = [2]int64{q.Pending + q.Deferred, q.Running}
	}
	for _, w := range workers {
		if w.State == queue.Lost {
			continue
		}
		p.workers.Max, p.workers.Up, p.workers.Busy, p.workers.RSS = p.workers.Max+w.Max, p.workers.Up+w.Up, p.workers.Busy+w.Busy, p.workers.RSS+w.RSS
	}
	return p, nil
}

// steps are the slots of a range, several of them together, the oldest first.
func (s *series) steps(name string) (steps []slot, from time.Time, step time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := ranges[name]
	r := &s.fine
	if kind.day {
		r = &s.day
	}
	step = r.step * time.Duration(kind.slots)
	last := s.now().UnixNano() / int64(step)
	first := last - barsAtAll + 1
	steps = make([]slot, barsAtAll)
	for _, slot := range r.slots {
		if slot == nil {
			continue
		}
		i := slot.number/int64(kind.slots) - first
		if i < 0 || i >= barsAtAll {
			continue
		}
		into := &steps[i]
		for k, n := range slot.ended {
			into.ended[k] += n
		}
		into.run.merge(&slot.run)
		into.wait.merge(&slot.wait)
		if slot.sample != nil && slot.number >= into.number {
			into.sample, into.number = slot.sample, slot.number
		}
	}
	return steps, time.Unix(0, first*int64(step)).UTC(), step
}

// getSeries answers with the figures of a range.
func (s *Server) getSeries(w http.ResponseWriter, r *http.Request, _ *who) error {
	name := r.URL.Query().Get("range")
	if name == "" {
		name = "1h"
	}
	if _, known := ranges[name]; !known {
		return invalidField("range", "is one of 15m, 1h and 24h")
	}
	return writeJSON(w, 200, s.series.document(name))
}

// document is what is answered for a range.
func (s *series) document(name string) *api.Series {
	steps, from, step := s.steps(name)
	out := &api.Series{From: from, Step: api.Duration(step), Since: s.since.UTC(), Queues: []api.QueueSeries{}}
	var run, wait spread
	queues := map[string]bool{}
	for i := range steps {
		st := &steps[i]
		out.Complete = append(out.Complete, st.ended[0])
		out.Failed = append(out.Failed, st.ended[1])
		out.Cancelled = append(out.Cancelled, st.ended[2])
		out.Total.Complete += st.ended[0]
		out.Total.Failed += st.ended[1]
		out.Total.Cancelled += st.ended[2]
		addQuantiles(&out.Run, &st.run)
		addQuantiles(&out.Wait, &st.wait)
		run.merge(&st.run)
		wait.merge(&st.wait)
		if st.sample == nil {
			out.Workers = append(out.Workers, api.WorkerSample{})
			continue
		}
		out.Workers = append(out.Workers, st.sample.workers)
		for q := range st.sample.queues {
			queues[q] = true
		}
	}
	known := s.now().Sub(from)
	if s.since.After(from) {
		known = s.now().Sub(s.since)
	}
	out.Total.Rate = float64(out.Total.Complete+out.Total.Failed+out.Total.Cancelled) / max(known.Seconds(), 1)
	out.Total.Run, out.Total.Wait = run.durations(), wait.durations()
	for _, q := range sortedKeys(queues) {
		line := api.QueueSeries{Name: q}
		for i := range steps {
			var pending, running *int64
			if p := steps[i].sample; p != nil {
				n := p.queues[q]
				pending, running = &n[0], &n[1]
			}
			line.Pending, line.Running = append(line.Pending, pending), append(line.Running, running)
		}
		out.Queues = append(out.Queues, line)
	}
	return out
}

func addQuantiles(to *api.Quantiles, of *spread) {
	d := of.durations()
	to.P50, to.P90, to.P99 = append(to.P50, d.P50), append(to.P90, d.P90), append(to.P99, d.P99)
}

func sortedKeys(m map[string]bool) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// openSeries begins to count.
func (s *Server) openSeries() error {
	s.series = newSeries()
	ends := newOnce()
	_, stop := s.index.Subscribe(func(t *tasks.Task) bool {
		if ends.first(t) {
			s.series.see(t)
			s.meters.see(t)
		}
		return false // nothing is sent: what is counted here is not missed
	})
	context.AfterFunc(s.ctx, stop)
	s.running.Go(s.sampleSeries)
	return nil
}
