package tables

import (
	"context"
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// store reads the dataset into a table of the SQL engine.
func (t *opened) store(ctx context.Context, env *stages.Env, e stages.SQLEngine, name string) (err error) {
	began := time.Now()
	t.mu.Lock()
	r, next, err := t.begin(ctx, env, nil)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rows := int64(0)
	err = e.CreateTable(ctx, name, t.schema, func(ctx context.Context) (frame.Frame, error) {
		f, err := next(ctx)
		if err == nil {
			rows += f.NumRows()
		}
		return f, err
	})
	if err == nil && env.Log != nil {
		env.Log.Info("loaded the dataset "+name, "rows", rows, "from", t.name, "took", time.Since(began).Round(time.Millisecond))
	}
	return err
}

// zones gives instants their time zones again, which SQL does not keep: those of
// the column of that name in the stream or, where it has none, in a dataset.
func (c *SQL) zones(out, in *frame.Schema, tables map[string]*opened) *frame.Schema {
	fields := out.Fields()
	for i, f := range fields {
		if frame.KindOf(f) != frame.KindTimestamp {
			continue
		}
		known := []*frame.Schema{in}
		for _, name := range c.names() {
			known = append(known, tables[name].schema)
		}
		for _, s := range known {
			at := s.FieldIndices(f.Name)
			if len(at) == 0 {
				continue
			}
			if from := s.Field(at[0]); frame.KindOf(from) == frame.KindTimestamp {
				fields[i].Type, fields[i].Metadata = from.Type, from.Metadata
				break
			}
		}
	}
	return arrow.NewSchema(fields, nil)
}
