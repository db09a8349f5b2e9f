package stages

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// grouped is an Aggregate that is prepared for the columns of its input. One
// goroutine runs it, as often as there are windows.
type grouped struct {
	config *Aggregate
	query  SQLQuery
	in     *frame.Schema // with the window's column
	keys   []*keyColumn  // of the result's first columns; nil where SQL's type stays
	schema *frame.Schema // of the result
	clock  *windowClock  // nil without a window
}

// prepare checks the aggregate against a schema.
func (c *Aggregate) prepare(ctx context.Context, e SQLEngine, in *frame.Schema) (*grouped, error) {
	g := &grouped{config: c, in: in}
	if c.Window != nil {
		var err error
		if g.clock, err = c.Window.clock(in); err != nil {
			return nil, err
		}
		g.in = g.clock.extended(in)
	}
	grouping := c.grouping(in)
	var err error
	if g.query, err = e.Group(ctx, g.in, grouping); err != nil {
		return nil, err
	}
	g.keys = make([]*keyColumn, len(grouping.By))
	for i, e := range grouping.By {
		if at := g.in.FieldIndices(columnName(e.SQL)); len(at) > 0 {
			g.keys[i] = newKeyColumn(g.in, at[0], e.Name)
		}
	}
	empty, err := g.shape(frame.Empty(g.query.Schema()))
	if err != nil {
		return nil, err
	}
	g.schema = empty.Schema()
	return g, nil
}

// run computes the groups of next's rows. Where there are none, it emits a frame
// that has the columns.
func (g *grouped) run(ctx context.Context, next SQLInput, emit func(frame.Frame) error) error {
	watched := func(ctx context.Context) (frame.Frame, error) {
		f, err := next(ctx)
		if err == nil {
			for _, k := range g.keys {
				k.watch(f)
			}
		}
		return f, err
	}
	sent := false
	err := g.query.Run(ctx, map[string]SQLInput{"input": watched}, func(f frame.Frame) error {
		f, err := g.shape(f)
		if err != nil {
			return err
		}
		sent = true
		return emit(f)
	})
	switch {
	case err != nil:
		return outOfMemory(err)
	case !sent:
		return emit(frame.Empty(g.schema))
	}
	return nil
}

// shape gives a result the types of its keys, and the window's end.
func (g *grouped) shape(f frame.Frame) (frame.Frame, error) {
	fields := append([]arrow.Field(nil), f.Schema().Fields()...)
	columns := append([]arrow.Array(nil), f.Columns()...)
	for i, k := range g.keys {
		if k == nil {
			continue
		}
		var err error
		if columns[i], err = k.restore(columns[i], fields[i]); err != nil {
			return nil, fmt.Errorf("column %q: %w", k.field.Name, err)
		}
		fields[i] = k.field
	}
	if g.clock != nil {
		end, field := g.clock.ends(columns[0], fields[0])
		field.Name = g.config.Window.End
		fields = append(fields[:1:1], append([]arrow.Field{field}, fields[1:]...)...)
		columns = append(columns[:1:1], append([]arrow.Array{end}, columns[1:]...)...)
	}
	return frame.New(arrow.NewSchema(fields, nil), columns, int(f.NumRows())), nil
}

// outOfMemory says what can be done about it.
func outOfMemory(err error) error {
	var e *SQLError
	if !errors.As(err, &e) || e.Kind != "Out of Memory" {
		return err
	}
	return fmt.Errorf("%w: raise memory, of which SQL has a quarter, at least %v; what list, string_agg and first or last of texts hold does not go to the disk", err, configs.Size(leastSQLMemory))
}
