package stages

import (
	"context"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// Filter keeps the rows for which an SQL condition is true. Where it is
// false or NULL, the row goes: NULL > 1 is NULL, so say "x IS NULL OR x > 1" to
// keep missing values. NaN is a value, and greater than every number.
//
// Only the columns that the condition names are looked at; all columns keep
// their type, levels and metadata.
type Filter struct {
	Where     string `yaml:"where" required:"true" doc:"The condition, in DuckDB's SQL, over the columns of a row." example:"dep_delay IS NOT NULL AND distance > 100"`
	SQLErrors `yaml:",inline"`
}

// Shorthand lets the condition stand for the mapping.
func (Filter) Shorthand() string { return "where" }

// Plan implements Transform.
func (c *Filter) Plan(in *frame.Schema) (*frame.Schema, error) {
	return PlanSQL(func(e SQLEngine) (*frame.Schema, error) {
		if in == nil {
			return nil, e.Parse([]SQLExpr{{SQL: c.Where}})
		}
		_, err := e.Condition(context.Background(), in, c.Where)
		return in, err
	})
}

// Build implements Transform.
func (c *Filter) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	engine, err := env.SQL()
	if err != nil {
		return nil, err
	}
	r := newRowwise(&c.SQLErrors, env)
	r.prepare = func(in *frame.Schema) (SQLColumns, error) {
		return engine.Condition(context.Background(), in, c.Where)
	}
	r.apply = func(f, computed frame.Frame) (frame.Frame, error) {
		rows := trueRows(computed.Column(0).(*array.Boolean))
		if len(rows) == int(f.NumRows()) {
			return f, nil
		}
		return frame.Take(f, rows)
	}
	return r.stage(env.Parallel), nil
}

// trueRows are the numbers of the rows that are true.
func trueRows(a *array.Boolean) []int32 {
	d := a.Data()
	if a.Len() == 0 {
		return nil
	}
	values := d.Buffers()[1].Bytes()
	rows := make([]int32, 0, a.Len())
	for i := 0; i < a.Len(); {
		at := d.Offset() + i
		if at&7 != 0 || a.Len()-i < 8 {
			if values[at>>3]>>(at&7)&1 == 1 {
				rows = append(rows, int32(i))
			}
			i++
			continue
		}
		for w := values[at>>3]; w != 0; w &= w - 1 {
			rows = append(rows, int32(i+bits.TrailingZeros8(w)))
		}
		i += 8
	}
	return rows
}
