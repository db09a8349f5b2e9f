//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// inputName is what the rows are called in expressions, where one must say it.
const inputName = "input"

// Expressions computes columns from the columns of a frame, row by row. Its
// methods may be called by several goroutines.
type Expressions struct {
	query  *Query // its last column is the number of the row
	text   sqlText
	schema *frame.Schema // of the others
	uses   []string
}

// Named is an expression and the name of its result.
type Named struct{ Name, Expr string }

// Condition is one boolean column: true where the expression is true, false
// where it is false or NULL. As in a WHERE clause, AND is evaluated from left to
// right, and what is on its right only for rows where its left is true.
func (d *DB) Condition(ctx context.Context, in *frame.Schema, expr string) (*Expressions, error) {
	e := Named{Expr: expr}
	c := checker{db: d, in: in}
	if err := d.Parse(e); err != nil {
		return nil, err
	}
	if err := c.rowWise(ctx, e, sqlText{}.add("input")); err != nil {
		return nil, err
	}
	typed, err := c.prepare(ctx, sqlText{}.add("SELECT ").expr(e).add(" FROM input"), true)
	if err != nil {
		return nil, err
	}
	t := typed.Schema().Field(0)
	typed.Close()
	if frame.KindOf(t) != frame.KindBool {
		return nil, wrong("", "the condition is of type %s, neither true nor false: compare it with something, as in x > 0", frame.TypeName(t))
	}
	text := sqlText{}.add("(SELECT *, CASE WHEN ").expr(e).add(" THEN true ELSE false END AS \"rpipe condition\" FROM input)")
	return c.expressions(ctx, `"rpipe condition"`, text)
}

// Columns computes one column for each expression, in order, called by its
// name. An expression sees the columns of the frame and those of the
// expressions before it; one that has the name of a column stands in for that
// column from then on.
func (d *DB) Columns(ctx context.Context, in *frame.Schema, exprs []Named) (*Expressions, error) {
	c := checker{db: d, in: in}
	if err := d.Parse(exprs...); err != nil {
		return nil, err
	}
	known := map[string]string{} // name in lower case to name
	for _, f := range in.Fields() {
		known[strings.ToLower(f.Name)] = f.Name
	}
	table := sqlText{}.add("input")
	names := make([]string, len(exprs))
	for i, e := range exprs {
		lower := strings.ToLower(e.Name)
		have, replaces := known[lower]
		if e.Name == "" {
			return nil, wrong("", "a new column needs a name")
		}
		if replaces && have != e.Name {
			return nil, wrong(e.Name, "the name differs only in case from that of column %q, and SQL cannot tell them apart", have)
		}
		if err := c.rowWise(ctx, e, table); err != nil {
			return nil, err
		}
		level := sqlText{}.add("(SELECT *, ").expr(e).add(" AS " + quote(e.Name))
		if replaces {
			level = sqlText{}.add("(SELECT * REPLACE (").expr(e).add(" AS " + quote(e.Name) + ")")
		}
		table = level.add(" FROM ").append(table).add(")")
		known[lower] = e.Name
		names[i] = quote(e.Name)
	}
	return c.expressions(ctx, strings.Join(names, ", "), table)
}

// Schema is that of the result.
func (x *Expressions) Schema() *frame.Schema { return x.schema }

// Uses are the columns of the frame that are read.
func (x *Expressions) Uses() []string { return x.uses }

// Close gives back what the expressions hold.
func (x *Expressions) Close() { x.query.Close() }

// Eval computes the columns for a frame: one row for each of its rows, in their
// order. The error is an *Error whose RowError is true where some row's values
// are to blame.
func (x *Expressions) Eval(ctx context.Context, f frame.Frame) (frame.Frame, error) {
	out, err := x.query.collect(ctx, map[string]Input{inputName: Single(f)}, int(f.NumRows()))
	if err != nil {
		x.text.locate(err)
		return nil, err
	}
	if out.NumRows() != f.NumRows() {
		return nil, fmt.Errorf("there are %d values for %d rows", out.NumRows(), f.NumRows())
	}
	columns := out.Columns()
	numbers := columns[len(columns)-1].(*array.Int64).Int64Values()
	for i, n := range numbers {
		if n != int64(i) {
			return nil, errors.New("the values came back in another order than the rows")
		}
	}
	return frame.New(x.schema, columns[:len(columns)-1], int(out.NumRows())), nil
}
