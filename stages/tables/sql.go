package tables

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// SQL runs one SELECT over the whole stream, which is the table input, and over
// datasets. What does not fit into memory goes to the disk.
type SQL struct {
	Query    string              `yaml:"query" required:"true" doc:"A SELECT, in DuckDB's SQL, over the table input, which is the stream, and the datasets. Without ORDER BY no order is promised." example:"SELECT zone, count(*) AS n FROM input JOIN zones USING (id) GROUP BY zone"`
	Datasets map[string]*Dataset `yaml:"datasets" doc:"Tables that the query may read besides input, as often as it likes: name to a path, or to a source that has an end." example:"{zones: data/zones.csv}"`
}

var (
	_ stages.Transform    = (*SQL)(nil)
	_ stages.Reads        = (*SQL)(nil)
	_ stages.Blocking     = (*SQL)(nil)
	_ configs.Checker     = (*SQL)(nil)
	_ configs.Warner      = (*SQL)(nil)
	_ configs.Shorthander = (*SQL)(nil)
)

// inputName is the stream in a query.
const inputName = "input"

// Shorthand implements configs.Shorthander.
func (*SQL) Shorthand() string { return "query" }

// Check implements configs.Checker.
func (c *SQL) Check(report func(field, message, hint string)) {
	seen := map[string]string{}
	for _, name := range c.names() {
		lower := strings.ToLower(name)
		switch {
		case lower == inputName:
			report("datasets."+name, "is the name of the stream", "give the dataset another")
		case seen[lower] != "":
			report("datasets."+name, fmt.Sprintf("differs from %s only in case, and SQL cannot tell them apart", seen[lower]), "give it another name")
		}
		seen[lower] = name
	}
}

// Warn implements configs.Warner.
func (c *SQL) Warn(report func(field, message, hint string)) {
	for _, name := range c.names() {
		if !strings.Contains(strings.ToLower(c.Query), strings.ToLower(name)) {
			report("datasets."+name, "the query does not name it, and it is read for nothing", "")
		}
	}
}

// names are those of the datasets, sorted.
func (c *SQL) names() []string { return slices.Sorted(maps.Keys(c.Datasets)) }

// Blocks implements stages.Blocking: what a SELECT gives may depend on the last row.
func (*SQL) Blocks() bool { return true }

// text is the query without the semicolon that may end it.
func (c *SQL) text() string {
	return strings.TrimSuffix(strings.TrimRight(c.Query, " \t\r\n"), ";")
}

// Plan implements stages.Transform. Without a look at the datasets it checks the
// syntax alone, unless there are none.
func (c *SQL) Plan(in *frame.Schema) (*frame.Schema, error) {
	return c.plan(context.Background(), in, nil)
}

// PlanWith implements stages.Reads.
func (c *SQL) PlanWith(ctx context.Context, env *stages.Env, in *frame.Schema) (*frame.Schema, error) {
	tables, err := c.open(ctx, env)
	if err != nil {
		return nil, err
	}
	return c.plan(ctx, in, tables)
}

func (c *SQL) plan(ctx context.Context, in *frame.Schema, tables map[string]*opened) (*frame.Schema, error) {
	schemas := map[string]*frame.Schema{inputName: in}
	known := in != nil && len(tables) == len(c.Datasets)
	for name, t := range tables {
		schemas[name] = t.schema
		known = known && t.schema != nil
	}
	return stages.PlanSQL(func(e stages.SQLEngine) (*frame.Schema, error) {
		if !known {
			return nil, c.parse(e)
		}
		q, err := e.Query(ctx, c.text(), schemas)
		if err != nil {
			return nil, err
		}
		defer q.Close()
		return c.zones(q.Schema(), in, tables), nil
	})
}

// parse checks the syntax, for which the query is put into parentheses.
func (c *SQL) parse(e stages.SQLEngine) error {
	err := e.Parse([]stages.SQLExpr{{SQL: "(" + c.text() + "\n)"}})
	var at *stages.SQLError
	if errors.As(err, &at) && at.Line == 1 && at.Column > 1 {
		at.Column--
	}
	return err
}

// Identity implements stages.Reads.
func (c *SQL) Identity(ctx context.Context, env *stages.Env) (map[string]string, error) {
	tables, err := c.open(ctx, env)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, t := range tables {
		maps.Copy(all, t.identity)
	}
	return all, nil
}

// open opens the datasets, by name.
func (c *SQL) open(ctx context.Context, env *stages.Env) (map[string]*opened, error) {
	tables := map[string]*opened{}
	for _, name := range c.names() {
		t, err := open(ctx, env, c.Datasets[name])
		if err != nil {
			return nil, fmt.Errorf("dataset %s: %w", name, err)
		}
		tables[name] = t
	}
	return tables, nil
}

// Build implements stages.Transform. It opens the datasets, so that what is
// wrong with them is known at once; the stage reads them.
func (c *SQL) Build(env *stages.Env) (stages.Stage[frame.Frame, frame.Frame], error) {
	engine, err := env.SQL()
	if err != nil {
		return nil, err
	}
	tables, err := c.open(context.Background(), env)
	if err != nil {
		return nil, err
	}
	return stages.Whole(env, func(ctx context.Context, next func(context.Context) (frame.Frame, error), emit func(frame.Frame) error) error {
		for _, name := range c.names() {
			if err := tables[name].store(ctx, env, engine, name); err != nil {
				return fmt.Errorf("dataset %s: %w", name, outOfMemory(err))
			}
		}
		return c.run(ctx, engine, tables, next, emit)
	}), nil
}

// run answers the query. Where it gives no rows, it emits a frame that has the
// columns.
func (c *SQL) run(ctx context.Context, e stages.SQLEngine, tables map[string]*opened, next func(context.Context) (frame.Frame, error), emit func(frame.Frame) error) error {
	first, err := next(ctx)
	if errors.Is(err, io.EOF) {
		return nil // nothing is known, not even the columns
	}
	if err != nil {
		return err
	}
	in := first.Schema()
	q, err := e.Query(ctx, c.text(), map[string]*frame.Schema{inputName: in})
	if err != nil {
		return err
	}
	defer q.Close()
	out := c.zones(q.Schema(), in, tables)
	input := func(ctx context.Context) (frame.Frame, error) {
		if f := first; f != nil {
			first = nil
			return f, nil
		}
		return next(ctx)
	}
	sent := false
	err = q.Run(ctx, map[string]stages.SQLInput{inputName: input}, func(f frame.Frame) error {
		if f, err = frame.Conform(f, out); err != nil {
			return err
		}
		sent = true
		return emit(f)
	})
	if err == nil && !sent {
		err = emit(frame.Empty(out))
	}
	for err == nil { // a query may know its answer before the last row
		_, err = next(ctx)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return outOfMemory(err)
}

// outOfMemory says what can be done about it.
func outOfMemory(err error) error {
	var e *stages.SQLError
	if !errors.As(err, &e) || e.Kind != "Out of Memory" {
		return err
	}
	return fmt.Errorf("%w: raise memory, of which all SQL stages together have a quarter; what list, string_agg, median and quantiles hold does not go to the disk", err)
}
