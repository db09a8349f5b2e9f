package stages

import (
	"context"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Derive computes columns from the columns of a row, by SQL expressions.
//
// They are computed in order, and each sees those before it. A new name becomes
// a new column at the end; the name of a column replaces it where it stands, for
// the expressions after it as well. A name that differs from a column's only in
// case is refused, since SQL cannot tell them apart. The type is that which SQL
// gives; an expression that is just a column's name copies it with its levels,
// zone or unit.
type Derive struct {
	Columns   configs.Pairs `yaml:",inline" required:"true" doc:"Column to expression, in DuckDB's SQL, over the columns of a row. A later expression may use an earlier column." example:"{speed: distance / air_time * 60}"`
	SQLErrors `yaml:",inline"`
}

// Plan implements Transform.
func (c *Derive) Plan(in *frame.Schema) (*frame.Schema, error) {
	return PlanSQL(func(e SQLEngine) (*frame.Schema, error) {
		if in == nil {
			return nil, e.Parse(c.exprs())
		}
		columns, err := e.Columns(context.Background(), in, c.exprs())
		if err != nil {
			return nil, err
		}
		f, err := c.apply(frame.Empty(in), frame.Empty(columns.Schema()))
		if err != nil {
			return nil, err
		}
		return f.Schema(), nil
	})
}

// Build implements Transform.
func (c *Derive) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	engine, err := env.SQL()
	if err != nil {
		return nil, err
	}
	r := newRowwise(&c.SQLErrors, env)
	r.prepare = func(in *frame.Schema) (SQLColumns, error) {
		return engine.Columns(context.Background(), in, c.exprs())
	}
	r.apply = c.apply
	return r.stage(env.Parallel), nil
}

func (c *Derive) exprs() []SQLExpr {
	exprs := make([]SQLExpr, len(c.Columns))
	for i, p := range c.Columns {
		exprs[i] = SQLExpr{Name: p.Name, SQL: p.Value}
	}
	return exprs
}

// apply puts the computed columns, one for each expression, into f.
func (c *Derive) apply(f, computed frame.Frame) (frame.Frame, error) {
	fields := append([]arrow.Field(nil), f.Schema().Fields()...)
	columns := append([]arrow.Array(nil), f.Columns()...)
	at := make(map[string]int, len(fields))
	for i, field := range fields {
		at[field.Name] = i
	}
	for i, p := range c.Columns {
		field, column := computed.Schema().Field(i), computed.Column(i)
		if from, ok := at[columnName(p.Value)]; ok {
			field, column = fields[from], columns[from]
		}
		field.Name = p.Name
		if k, ok := at[p.Name]; ok {
			fields[k], columns[k] = field, column
			continue
		}
		at[p.Name] = len(fields)
		fields, columns = append(fields, field), append(columns, column)
	}
	m := f.Schema().Metadata()
	return frame.New(arrow.NewSchema(fields, &m), columns, int(f.NumRows())), nil
}

// columnName is the name that an expression consists of, if it is one.
func columnName(expr string) string {
	expr = strings.TrimSpace(expr)
	if len(expr) < 2 || expr[0] != '"' || expr[len(expr)-1] != '"' {
		return expr
	}
	inner := expr[1 : len(expr)-1]
	if strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
		return expr // two quoted names and something between them
	}
	return strings.ReplaceAll(inner, `""`, `"`)
}
