package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// Plan is the graph that a file describes, with the columns that cross each
// edge, as far as they are known before the run.
type Plan struct {
	Name     string       `json:"name"`
	Path     string       `json:"path"`
	Nodes    []Node       `json:"nodes"`
	Size     sources.Size `json:"input"`
	Workers  int          `json:"workers,omitempty"` // R workers at most; 0 where no stage uses R here
	Queues   []string     `json:"queues,omitempty"`  // of a task server that stages run on
	Memory   configs.Size `json:"memory"`
	Commit   string       `json:"commit"` // how its runs commit, in words; "" where the source cannot be opened
	settings bool         // of the nodes are wanted
	problems configs.Problems
	from     int // index of the node that the next one follows; -1 for none
}

// Node is one part of the graph.
type Node struct {
	Label     string   `json:"label"`
	Kind      string   `json:"kind"`  // source, stage or sink
	After     int      `json:"after"` // index of the node before it; -1 for the source
	Component string   `json:"component"`
	Line      int      `json:"line"`
	Settings  string   `json:"settings"` // YAML, defaults filled in
	Out       []Column `json:"columns"`  // nil: not known until the first batch
	schema    *frame.Schema
}

// Column is a name and a type, as returns: takes it.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Plan follows the columns from the source through the stages. It reads the
// beginning of the input, and changes nothing. The problems are those of Check.
func (f *File) Plan(ctx context.Context) (*Plan, configs.Problems) {
	p := &Plan{Name: f.Name, Path: f.Path, Memory: f.Memory, from: -1, settings: true}
	if f.NeedsR() {
		p.problems = append(p.problems, f.missingScripts()...)
	}
	if p.Queues = f.Queues(); f.NeedsPool() {
		p.Workers = f.R.Workers.Max
		if p.Workers == 0 {
			p.Workers = runtime.NumCPU()
		}
	}
	schema := p.planSource(ctx, f)
	p.planGraph(ctx, f, schema)
	return p, p.problems
}

// planGraph follows the columns from the source to every sink.
func (p *Plan) planGraph(ctx context.Context, f *File, schema *frame.Schema) {
	schema = p.planStages(ctx, f, "stages", f.Stages, f.Labels, schema)
	for _, b := range f.branches() {
		p.from = len(f.Stages) // the last node of the trunk, after the source
		at := p.from
		if b.when != "" {
			when := &stages.Filter{Where: b.when}
			if _, err := when.Plan(schema); err != nil && !b.rest { // what is wrong with the rest is so with another
				p.problem(f, b.path+".when", err)
			}
			p.add("stage", b.label+".when", "filter", f.line(b.path), when, schema)
		}
		out := p.planStages(ctx, f, b.path+".stages", b.stages, b.labels, schema)
		p.add("sink", b.label, sinks.Table.NameOf(b.use), f.line(b.path), b.use, out)
		p.from = at
	}
}

// planStages follows the columns through a row of stages.
func (p *Plan) planStages(ctx context.Context, f *File, path string, specs []StageSpec, labels []string, schema *frame.Schema) *frame.Schema {
	for i, s := range specs {
		name := Transforms.NameOf(s.Use)
		at := fmt.Sprintf("%s[%d].%s", path, i, name)
		out, err := p.planStage(ctx, f, s, schema)
		if err != nil {
			p.problem(f, at, err)
			if out = nil; sameColumns(s.Use) {
				out = schema // so that the problems of later stages are seen as well
			}
		}
		p.add("stage", labels[i], name, f.line(at), s.Use, out)
		schema = out
	}
	return schema
}

// sameColumns reports whether a stage gives the columns that it takes.
func sameColumns(t stages.Transform) bool {
	switch t.(type) {
	case *stages.Filter, *stages.Batcher:
		return true
	}
	return false
}

// planSource opens the source for its schema and size.
func (p *Plan) planSource(ctx context.Context, f *File) *frame.Schema {
	env := f.planEnv().For("source")
	defer env.Close()
	var schema *frame.Schema
	if r, err := f.Source.Use.Open(ctx, env, ""); err != nil {
		p.problem(f, "source", err)
	} else {
		schema, p.Size = r.Schema(), r.Size()
		if p.Commit, err = f.planCommit(r.Traits()); err != nil {
			p.problem(f, "commit", err)
		}
		if err := r.Close(); err != nil {
			p.problem(f, "source", err)
		}
	}
	p.add("source", "source", sources.Table.NameOf(f.Source.Use), f.line("source"), f.Source.Use, schema)
	return schema
}

func (p *Plan) add(kind, label, component string, line int, use any, schema *frame.Schema) {
	n := Node{Label: label, Kind: kind, After: p.from, Component: component, Line: line, schema: schema, Out: columns(schema)}
	if p.settings {
		if text, err := configs.Normalized(use); err == nil {
			n.Settings = string(text)
		}
	}
	p.from = len(p.Nodes)
	p.Nodes = append(p.Nodes, n)
}

func (p *Plan) problem(f *File, path string, err error) {
	var sql *stages.SQLError
	var key interface{ Key() string }
	message := err.Error()
	within := "" // the key in the stage that it is about
	switch {
	case errors.As(err, &key):
		within = key.Key()
	case errors.As(err, &sql):
		within = sql.Name
	}
	if rest, ok := strings.CutPrefix(message, within+": "); ok && within != "" {
		path, message = path+"."+within, rest
	}
	p.problems = append(p.problems, f.doc.Problem(path, message, ""))
}

// planStage gives a stage what it needs to see the columns of datasets.
func (p *Plan) planStage(ctx context.Context, f *File, s StageSpec, in *frame.Schema) (*frame.Schema, error) {
	d, ok := s.Use.(stages.Reads)
	if !ok {
		return s.Use.Plan(in)
	}
	env := f.planEnv().For("plan")
	defer env.Close()
	return d.PlanWith(ctx, env, in)
}

// planEnv is the environment in which nothing runs.
func (f *File) planEnv() *stages.Env {
	return &stages.Env{
		Pipeline: f.Name, Plan: true, Dir: f.Dir(), Parallel: 1, Memory: int64(f.Memory), S3: f.client(), Endless: f.endless(),
		Log: slog.New(slog.DiscardHandler),
	}
}

// line is where a part of the file stands.
func (f *File) line(path string) int { return f.doc.Place(path).Line }

func columns(s *frame.Schema) []Column {
	if s == nil {
		return nil
	}
	cs := make([]Column, s.NumFields())
	for i, f := range s.Fields() {
		cs[i] = Column{f.Name, frame.TypeName(f)}
	}
	return cs
}
