package stages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Aggregate makes one row of each group of rows, by SQL aggregate functions.
//
// It has SQL's null logic: NULL is a group of its own under by, and aggregate
// functions pass over NULL, except count(*), first, last and list. NaN is a
// value, of which sum and avg make NaN. first, last and list go by the order in
// which rows arrive. sum of integers is int64, and an error where it does not
// fit; counts are int64.
//
// Without a window nothing is sent before the input has ended. What does not fit
// into memory goes to the disk, except the states of list and string_agg, and of
// first and last where they are texts.
type Aggregate struct {
	By       configs.Pairs `yaml:"by" scalar:"true" doc:"What makes a group: columns, or names with an SQL expression each. They are the first columns of the result. Without it all rows are one group." example:"[carrier, month]"`
	Measures configs.Pairs `yaml:"measures" doc:"Column to SQL expression over the rows of a group, with any of DuckDB's aggregate functions. Without it the result is the distinct values of by." example:"{flights: count(*), delay: avg(dep_delay)}"`
	Where    string        `yaml:"where" doc:"A condition on rows, before they are grouped." example:"dep_delay IS NOT NULL"`
	Having   string        `yaml:"having" doc:"A condition on groups, over their measures." example:"flights > 100"`
	Order    string        `yaml:"order" doc:"The order of the result, as SQL has it after ORDER BY. Without it the result is ordered by the columns of by, with NULL last." example:"delay DESC"`
	Window   *Window       `yaml:"window" doc:"Groups rows by their time as well, into windows of equal length. A source without an end needs one."`
}

// Check implements configs.Checker.
func (c *Aggregate) Check(report func(field, message, hint string)) {
	if len(c.By) == 0 && len(c.Measures) == 0 {
		report("", "there is nothing to compute", "give measures, such as measures: {n: count(*)}")
	}
	if w := c.Window; w != nil {
		for _, of := range []struct {
			key   string
			pairs configs.Pairs
		}{{"by", c.By}, {"measures", c.Measures}} {
			for _, p := range of.pairs {
				if strings.EqualFold(p.Name, w.Start) || strings.EqualFold(p.Name, w.End) {
					report(of.key, fmt.Sprintf("%q is the name of a column of the window", p.Name), "give another, or set window.start and window.end")
				}
			}
		}
	}
}

// Blocks implements Blocking.
func (c *Aggregate) Blocks() bool { return c.Window == nil }

// Windowed implements Windowed.
func (c *Aggregate) Windowed() bool { return c.Window != nil }

// DeadLetters reports whether rows may go to the dead letter.
func (c *Aggregate) DeadLetters() bool { return c.Window != nil && c.Window.Late == "dead_letter" }

// Plan implements Transform.
func (c *Aggregate) Plan(in *frame.Schema) (*frame.Schema, error) {
	return PlanSQL(func(e SQLEngine) (*frame.Schema, error) {
		if in == nil {
			return nil, e.ParseGrouping(c.grouping(nil))
		}
		g, err := c.prepare(context.Background(), e, in)
		if err != nil {
			return nil, err
		}
		return g.schema, nil
	})
}

// Build implements Transform.
func (c *Aggregate) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	engine, err := env.SQL()
	if err != nil {
		return nil, err
	}
	if c.Window != nil && env.Endless {
		return newWindows(c, env, engine).stage, nil
	}
	return Whole(env, func(ctx context.Context, next func(context.Context) (frame.Frame, error), emit func(frame.Frame) error) error {
		first, err := next(ctx)
		if errors.Is(err, io.EOF) {
			return nil // nothing is known, not even the columns
		}
		if err != nil {
			return err
		}
		g, err := c.prepare(ctx, engine, first.Schema())
		if err != nil {
			return err
		}
		defer g.query.Close()
		in := following(first, next)
		if c.Window != nil {
			in = g.windowed(env, in)
		}
		return g.run(ctx, in, emit)
	}), nil
}

// following gives first again, then what next does.
func following(first frame.Frame, next SQLInput) SQLInput {
	return func(ctx context.Context) (frame.Frame, error) {
		if f := first; f != nil {
			first = nil
			return f, nil
		}
		return next(ctx)
	}
}

// grouping is the query of the configuration, over an input of that schema.
func (c *Aggregate) grouping(in *frame.Schema) SQLGrouping {
	g := SQLGrouping{Where: c.Where, Having: c.Having, Order: c.Order}
	if c.Window != nil {
		g.By = append(g.By, SQLExpr{c.Window.Start, `"` + windowColumn + `"`})
	}
	for _, p := range c.By {
		e := SQLExpr{p.Name, p.Value}
		if p.Name == p.Value && (in == nil || in.HasField(p.Name)) { // a column, whatever it is called
			e.SQL = `"` + strings.ReplaceAll(p.Name, `"`, `""`) + `"`
		}
		g.By = append(g.By, e)
	}
	for _, p := range c.Measures {
		g.Measures = append(g.Measures, SQLExpr{p.Name, p.Value})
	}
	return g
}
