package pipeline

import (
	"context"
	"errors"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// testGraph is the part of the pipeline that one test needs, from where the rows
// go in to the last place that is looked at.
type testGraph struct {
	file  *File
	test  *Test
	env   *stages.Env
	from  spot
	last  map[int]int // by branch: the last part that is needed; none where there is no entry
	sight map[string]*sight

	mu       sync.Mutex
	rejected map[string][]*stages.Rejected // by stage
}

// sight is what came by at one place.
type sight struct {
	frames []frame.Frame
}

// newTestGraph finds what the test needs.
func newTestGraph(f *File, t *Test, env *stages.Env) *testGraph {
	g := &testGraph{
		file: f, test: t, env: env, last: map[int]int{},
		sight: map[string]*sight{}, rejected: map[string][]*stages.Rejected{},
	}
	spots := f.spots()
	for label := range t.Input {
		g.from = spots[label]
	}
	if g.from.branch >= 0 {
		g.last[g.from.branch] = g.from.index
	} else {
		g.last[-1] = g.from.index
	}
	for label := range t.Expect {
		s := spots[label]
		g.sight[label] = &sight{}
		g.last[s.branch] = max(s.index, g.lastOf(s.branch))
		if s.branch >= 0 && g.from.branch < 0 {
			g.last[-1] = len(f.Stages) - 1
		}
	}
	env.Reject = g.reject
	return g
}

func (g *testGraph) lastOf(branch int) int {
	if last, ok := g.last[branch]; ok {
		return last
	}
	return -1
}

// reject keeps the rows that failed.
func (g *testGraph) reject(_ context.Context, r *stages.Rejected) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rejected[r.Stage] = append(g.rejected[r.Stage], r)
	if r.Batch != nil {
		r.Batch.Settle(nil)
	}
	return nil
}

// specs are the stages that run, in a trunk or a branch.
func (g *testGraph) specs(branch int) (specs []StageSpec, labels []string) {
	specs, labels = g.file.Stages, g.file.Labels[:len(g.file.Stages)]
	if branch >= 0 {
		b := g.file.branches()[branch]
		specs, labels = b.stages, b.labels
	}
	from := 0
	if g.from.branch == branch {
		from = max(0, g.from.index)
	}
	to := min(g.lastOf(branch)+1, len(specs))
	if from >= to {
		return nil, nil
	}
	return specs[from:to], labels[from:to]
}

// needsR reports whether a stage that runs uses R.
func (g *testGraph) needsR() bool {
	for branch := range g.last {
		specs, labels := g.specs(branch)
		for i, s := range specs {
			if _, mocked := g.test.Mock[labels[i]]; !mocked && (&File{Stages: []StageSpec{s}}).NeedsR() {
				return true
			}
		}
	}
	return false
}

// run sends the rows through, and returns the error that ended it.
func (g *testGraph) run(ctx context.Context, input []frame.Frame) error {
	run := stages.NewRun(ctx)
	edge := stages.From(run, "input", depth, func(_, hard context.Context, out chan<- *stages.Rows) error {
		return sendAll(hard, out, input)
	})
	err := g.join(ctx, run, edge)
	if err != nil {
		run.Stop(err)
	}
	if e := run.Wait(); err == nil {
		err = e
	}
	return err
}

// sendAll sends frames as batches of at most frame.Rows rows.
func sendAll(ctx context.Context, out chan<- *stages.Rows, frames []frame.Frame) error {
	seq := uint64(0)
	for _, f := range frames {
		for from := 0; from == 0 || int64(from) < f.NumRows(); from += frame.Rows {
			part := frame.Slice(f, from, min(from+frame.Rows, int(f.NumRows())))
			b := &stages.Rows{Value: part, Rows: int(part.NumRows()), Bytes: frame.Bytes(part), Seq: seq}
			seq++
			if err := stages.Send(ctx, out, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *testGraph) join(ctx context.Context, run *stages.Run, edge <-chan *stages.Rows) error {
	if g.from.branch >= 0 {
		return g.joinBranch(ctx, run, g.from.branch, edge)
	}
	if g.from.index < 0 {
		edge = g.look(run, "source", edge)
	}
	edge, err := g.chain(ctx, run, -1, edge)
	if err != nil {
		return err
	}
	var branches []int
	for i := range g.file.branches() {
		if _, needed := g.last[i]; needed {
			branches = append(branches, i)
		}
	}
	if len(branches) == 0 {
		stages.To(run, "end", edge, drain)
		return nil
	}
	edges := []<-chan *stages.Rows{edge}
	if len(branches) > 1 {
		edges = stages.Fan(run, "fan-out", depth, len(branches), edge)
	}
	for k, i := range branches {
		if err := g.joinBranch(ctx, run, i, edges[k]); err != nil {
			return err
		}
	}
	return nil
}

func (g *testGraph) joinBranch(ctx context.Context, run *stages.Run, i int, edge <-chan *stages.Rows) error {
	b := g.file.branches()[i]
	if b.when != "" && (g.from.branch < 0 || g.from.index < 0) {
		label := b.label + ".when"
		s, err := (&stages.Filter{Where: b.when}).Build(g.env.For(label))
		if err != nil {
			return &stages.StageError{Stage: label, Err: err}
		}
		edge = g.look(run, label, stages.Then(run, label, depth, edge, s))
	}
	edge, err := g.chain(ctx, run, i, edge)
	if err != nil {
		return err
	}
	if g.lastOf(i) == len(b.stages) {
		edge = g.look(run, b.label, edge)
	}
	stages.To(run, "end", edge, drain)
	return nil
}

// chain joins the stages of the trunk or of a branch.
func (g *testGraph) chain(ctx context.Context, run *stages.Run, branch int, edge <-chan *stages.Rows) (<-chan *stages.Rows, error) {
	specs, labels := g.specs(branch)
	for i, spec := range specs {
		label := labels[i]
		s, err := g.build(ctx, spec, label)
		if err != nil {
			return edge, &stages.StageError{Stage: label, Err: err}
		}
		edge = g.look(run, label, stages.Then(run, label, depth, edge, s))
	}
	return edge, nil
}

// build makes a stage, or what is taken in its place.
func (g *testGraph) build(ctx context.Context, spec StageSpec, label string) (stages.Stage[frame.Frame, frame.Frame], error) {
	mock, mocked := g.test.Mock[label]
	if !mocked {
		return spec.Use.Build(g.env.For(label))
	}
	if mock.Error != "" {
		return g.failing(spec, label, errors.New(mock.Error)), nil
	}
	rows, err := mock.frames(ctx, g.env.For(label), schemaTypes(planned([]StageSpec{spec}, nil)))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, in <-chan *stages.Rows, out chan<- *stages.Rows) error {
		if err := drain(ctx, in); err != nil {
			return err
		}
		return sendAll(ctx, out, rows)
	}, nil
}

// failing fails all rows as the stage's on_error says.
func (g *testGraph) failing(spec StageSpec, label string, err error) stages.Stage[frame.Frame, frame.Frame] {
	action := onError(spec.Use)
	return func(ctx context.Context, in <-chan *stages.Rows, _ chan<- *stages.Rows) error {
		for {
			b, ok, e := stages.Receive(ctx, in)
			if !ok || e != nil {
				return e
			}
			switch {
			case b.Rows == 0:
				continue
			case action != "dead_letter" && action != "skip":
				return stages.At(b, err)
			}
			if e := g.reject(ctx, &stages.Rejected{
				Stage: label, Frame: b.Value, First: b.First, Err: err, Attempt: 1, Drop: action == "skip", Batch: b,
			}); e != nil {
				return e
			}
		}
	}
}

// onError is what a stage does with rows that fail; "" where it has no choice.
func onError(t stages.Transform) string {
	switch s := t.(type) {
	case *stages.Map:
		return s.OnError.OnError
	case *stages.Reduce:
		return s.OnError
	case *stages.Fetch:
		return s.OnError
	case *stages.Filter:
		return s.SQLErrors.OnError
	case *stages.Derive:
		return s.SQLErrors.OnError
	}
	return ""
}

// look keeps what comes by where the test expects something.
func (g *testGraph) look(run *stages.Run, label string, edge <-chan *stages.Rows) <-chan *stages.Rows {
	s := g.sight[label]
	if s == nil {
		return edge
	}
	return stages.Then(run, "look at "+label, depth, edge, func(ctx context.Context, in <-chan *stages.Rows, out chan<- *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			s.frames = append(s.frames, b.Value)
			if err := stages.Send(ctx, out, b); err != nil {
				return err
			}
		}
	})
}

func drain(ctx context.Context, in <-chan *stages.Rows) error {
	for {
		b, ok, err := stages.Receive(ctx, in)
		if !ok || err != nil {
			return err
		}
		b.Settle(nil)
	}
}
