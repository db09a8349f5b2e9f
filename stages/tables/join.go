package tables

import (
	"context"
	"fmt"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Join looks up rows of a dataset for each row of the stream, by columns that
// must be equal. Keys that are missing match nothing. The stream keeps its order;
// its columns stay, and those of the dataset that are no keys come after them.
type Join struct {
	Dataset    Dataset       `yaml:"dataset" required:"true" doc:"The table to look up: a path, or a source that has an end. It is read once, before the first row, into memory."`
	On         configs.Pairs `yaml:"on" required:"true" scalar:"true" doc:"The columns that must be equal: names that both sides have, or column of the stream to column of the dataset. A missing key matches nothing." example:"[origin, time_hour]"`
	How        string        `yaml:"how" default:"left" enum:"left|inner|anti|semi" doc:"Which rows come out: left gives all of the stream, with missing values where nothing matches; inner those that match; semi those that match, without the dataset's columns; anti those that do not."`
	Columns    []string      `yaml:"columns" scalar:"true" doc:"The dataset's columns to add, in this order. All but the keys where it is not set. Only these are held in memory." example:"[temp, wind_speed]"`
	Suffix     string        `yaml:"suffix" doc:"What is put behind the name of a column of the dataset that the stream has too. Without it such a name is an error." example:"_weather"`
	Duplicates string        `yaml:"duplicates" default:"error" enum:"error|first|all" doc:"What to do where several rows of the dataset have the same key: error ends the run and names such keys; first takes the first row in the dataset's order; all gives a row for each. For semi and anti it makes no difference, and is no error."`
	MaxMemory  configs.Size  `yaml:"max_memory" doc:"Bytes that the dataset and its index may take; one that needs more is an error. 0 is a quarter of the pipeline's memory."`
}

var (
	_ stages.Transform = (*Join)(nil)
	_ stages.Reads     = (*Join)(nil)
	_ configs.Checker  = (*Join)(nil)
)

// Check implements configs.Checker.
func (c *Join) Check(report func(field, message, hint string)) {
	if !c.adds() {
		for field, set := range map[string]bool{"columns": len(c.Columns) > 0, "suffix": c.Suffix != ""} {
			if set {
				report(field, "does nothing with how: "+c.How+", which adds no columns", "leave it out")
			}
		}
	}
	ours, theirs := map[string]bool{}, map[string]bool{}
	for _, p := range c.On {
		switch {
		case ours[p.Name]:
			report("on", fmt.Sprintf("column %q is named twice", p.Name), "")
		case theirs[p.Value]:
			report("on", fmt.Sprintf("column %q of the dataset is named twice", p.Value), "")
		}
		ours[p.Name], theirs[p.Value] = true, true
	}
	seen := map[string]bool{}
	for _, name := range c.Columns {
		switch {
		case seen[name]:
			report("columns", fmt.Sprintf("column %q is named twice", name), "")
		case theirs[name]:
			report("columns", fmt.Sprintf("column %q is a key, which the stream has already", name), "leave it out")
		}
		seen[name] = true
	}
}

// adds reports whether columns of the dataset come out.
func (c *Join) adds() bool { return c.How == "left" || c.How == "inner" }

// Plan implements stages.Transform. Without a look at the dataset it knows the
// columns only where it adds none.
func (c *Join) Plan(in *frame.Schema) (*frame.Schema, error) {
	if c.adds() {
		return nil, nil
	}
	return in, nil
}

// PlanWith implements stages.Reads.
func (c *Join) PlanWith(ctx context.Context, env *stages.Env, in *frame.Schema) (*frame.Schema, error) {
	t, err := open(ctx, env, &c.Dataset)
	if err != nil {
		return nil, err
	}
	if t.schema == nil {
		return c.Plan(in)
	}
	l, err := c.lookup(t.schema)
	if err != nil || in == nil {
		return nil, err
	}
	p, err := l.plan(in)
	if err != nil {
		return nil, err
	}
	return p.out, nil
}

// Identity implements stages.Reads.
func (c *Join) Identity(ctx context.Context, env *stages.Env) (map[string]string, error) {
	t, err := open(ctx, env, &c.Dataset)
	if err != nil {
		return nil, err
	}
	return t.identity, nil
}

// Build implements stages.Transform. It opens the dataset, so that what is wrong
// with it is known at once; the stage reads it.
func (c *Join) Build(env *stages.Env) (stages.Stage[frame.Frame, frame.Frame], error) {
	t, err := open(context.Background(), env, &c.Dataset)
	if err != nil {
		return nil, err
	}
	if t.schema != nil {
		if _, err := c.lookup(t.schema); err != nil {
			return nil, err
		}
	}
	j := &joiner{config: c, from: t, env: env, limit: int64(c.MaxMemory)}
	if j.limit == 0 {
		j.limit = env.Memory
	}
	t.ask(c.needed(), j.limit)
	return j.stage, nil
}
