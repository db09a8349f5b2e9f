package pipelines

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// live is a run under way. Rates and shares are over the last seconds, of which it keeps
// samples.
type live struct {
	run   *pipeline.Run
	name  string
	nodes []pipeline.Node
	ends  bool // by itself, as its source does

	quit, done chan struct{}
	mu         sync.Mutex
	samples    []sample // oldest first
}

// sample is where the parts of a run stood at a time.
type sample struct {
	at    time.Time
	parts []stages.Reading
}

const (
	sampling = time.Second
	window   = 5 // samples over which rates are
)

// show has a run seen until hide.
func (s *Set) show(id string, f *pipeline.File, r *pipeline.Run) *live {
	l := &live{run: r, name: f.Name, nodes: f.Graph(), ends: !f.Endless(), quit: make(chan struct{}), done: make(chan struct{})}
	l.keep() // before somebody asks for figures since then
	go l.sample()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[id] = l
	return l
}

func (s *Set) hide(id string, l *live) {
	close(l.quit)
	<-l.done
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[id] == l {
		delete(s.live, id)
	}
}

// Running are the ids of the runs of a pipeline that are under way here, oldest first.
func (s *Set) Running(name string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.live {
		if l.name == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Finish waits for the runs under way here that end by themselves, for as long as ctx does.
func (s *Set) Finish(ctx context.Context) {
	s.mu.Lock()
	under := slices.Collect(maps.Values(s.live))
	s.mu.Unlock()
	for _, l := range under {
		if !l.ends {
			continue
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return
		}
	}
}

// Live is where a run stands that is under way here; nil for others.
func (s *Set) Live(id string) *api.PipelineLive {
	s.mu.Lock()
	l := s.live[id]
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.figures(time.Now())
}

func (l *live) sample() {
	defer close(l.done)
	t := time.NewTicker(sampling)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.keep()
		case <-l.quit:
			return
		}
	}
}

// keep keeps a sample of now.
func (l *live) keep() {
	now := sample{time.Now(), l.run.Snapshot().Stages}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, now)
	if len(l.samples) > window+1 {
		l.samples = l.samples[1:]
	}
}

// oldest is the sample since which rates are.
func (l *live) oldest() sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.samples[0]
}

// figures are those of the run now.
func (l *live) figures(now time.Time) *api.PipelineLive {
	s := l.run.Snapshot()
	out := &api.PipelineLive{
		Elapsed: api.Duration(s.Elapsed), Read: s.Read.Rows, Written: s.Written(), Resumed: s.Resumed,
		Skipped: s.Skipped, Dead: s.Rejected, Memory: s.Memory, Budget: s.Budget, Draining: s.Drained,
		Nodes: []api.PipelineFigures{}, Edges: []api.PipelineEdge{},
	}
	if f, ok := s.Fraction(); ok {
		out.Fraction = &f
	}
	if left, ok := s.Remaining(); ok {
		d := api.Duration(left)
		out.Remaining = &d
	}
	if s.R != nil {
		out.R = &api.PipelineR{Up: s.R.Up, Busy: s.R.Busy, Memory: s.R.Memory, Died: s.R.Died}
	}
	before, most := l.oldest(), -1
	for i, r := range s.Stages {
		n := figuresOf(r, reading(before.parts, r.Name), now.Sub(before.at), i == 0)
		n.Kind = "fan-out" // unless the file has it
		for _, node := range l.nodes {
			if node.Label == r.Name {
				n.Kind, n.Component, n.Line = node.Kind, node.Component, node.Line
			}
		}
		if !r.Done && (most < 0 || n.Busy > out.Nodes[most].Busy) {
			most = i
		}
		out.Nodes = append(out.Nodes, n)
	}
	if most >= 0 && s.Elapsed >= sampling {
		out.Nodes[most].Bottleneck, out.Bottleneck = true, out.Nodes[most].Label
	}
	for _, q := range l.run.Queues() {
		out.Edges = append(out.Edges, api.PipelineEdge{From: q.From, To: q.To, Depth: q.Depth, Capacity: q.Cap})
	}
	return out
}

// reading is that of a part; zero where it is not there yet.
func reading(parts []stages.Reading, name string) stages.Reading {
	for _, r := range parts {
		if r.Name == name {
			return r
		}
	}
	return stages.Reading{}
}

// figuresOf are those of a part now, with rates since an earlier reading. Of one that is
// done, and of one that has just begun, they are of all of it.
func figuresOf(r, before stages.Reading, since time.Duration, first bool) api.PipelineFigures {
	if r.Done || since < sampling/2 || before.Elapsed == 0 {
		before, since = stages.Reading{}, r.Elapsed
	}
	share := func(now, then time.Duration, of int) float64 {
		if since <= 0 {
			return 0
		}
		return min(1, max(0, float64(now-then)/float64(since)/float64(max(1, of))))
	}
	rows := r.RowsIn - before.RowsIn
	if first {
		rows = r.RowsOut - before.RowsOut
	}
	n := api.PipelineFigures{
		Label: r.Name, Workers: r.Workers, InFlight: r.InFlight,
		RowsIn: r.RowsIn, RowsOut: r.RowsOut, BytesIn: r.BytesIn, BytesOut: r.BytesOut,
		BatchesIn: r.BatchesIn, BatchesOut: r.BatchesOut, Errors: r.Errors, Done: r.Done,
		Busy: share(r.Busy, before.Busy, r.Workers), Starved: share(r.BlockedIn, before.BlockedIn, 1), Blocked: share(r.BlockedOut, before.BlockedOut, 1),
	}
	if since > 0 {
		n.Rate = float64(rows) / since.Seconds()
	}
	return n
}
