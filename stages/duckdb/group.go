//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
)

// Grouping is what a Query of [DB.Group] computes: one row for each group of
// rows that agree in By, or one row in all where By is empty.
type Grouping struct {
	By       []Named // columns of the result, first
	Measures []Named // aggregates: the columns after them
	Where    string  // of rows, before they are grouped; "" for all
	Having   string  // of groups, which may name Measures; "" for all
	Order    string  // as after ORDER BY, over the columns of the result; "" for the order of By
}

// The names under which errors tell of the parts of a Grouping. By's and
// Measures' have the name of the column after them and a dot.
const (
	inBy       = "by"
	inMeasures = "measures"
	inWhere    = "where"
	inHaving   = "having"
	inOrder    = "order"
)

// Group prepares a query over one input, called input. NULL is a group of its
// own, as is NaN. Functions that depend on the order of rows, such as first and
// list, go by that of the input. An *Error has the Name of the part that it is
// about, such as measures.delay.
func (d *DB) Group(ctx context.Context, in *frame.Schema, g Grouping) (*Query, error) {
	if err := d.ParseGrouping(g); err != nil {
		return nil, err
	}
	text, err := g.text()
	if err != nil {
		return nil, err
	}
	c := checker{db: d, in: in}
	q, err := c.prepare(ctx, text, false)
	if err != nil {
		return nil, c.explain(g, err)
	}
	q.explain = func(err error) { text.locate(err) }
	if n := len(g.By) + len(g.Measures); q.schema.NumFields() != n {
		q.Close()
		return nil, wrong("", "there are %d expressions, and they give %d columns: write out a star or COLUMNS()", n, q.schema.NumFields())
	}
	if _, err = q.Collect(ctx, map[string]Input{inputName: Single(frame.Empty(in))}); err == nil {
		err = c.ambiguous(q.used(inputName))
	}
	if err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// ParseGrouping checks the syntax alone.
func (d *DB) ParseGrouping(g Grouping) error {
	if err := d.Parse(g.expressions()...); err != nil {
		return err
	}
	if g.Order == "" {
		return nil
	}
	err := d.Parse(Named{Name: inOrder, Expr: "1 ORDER BY " + g.Order})
	var failed *Error
	if errors.As(err, &failed) && failed.Column > 0 {
		failed.offset = max(0, failed.offset-len("1 ORDER BY "))
		failed.locate(g.Order)
	}
	return err
}

// expressions are all parts that are one, under the names of their keys.
func (g *Grouping) expressions() (all []Named) {
	all = append(all, under(inBy, g.By)...)
	all = append(all, under(inMeasures, g.Measures)...)
	if g.Where != "" {
		all = append(all, Named{inWhere, g.Where})
	}
	if g.Having != "" {
		all = append(all, Named{inHaving, g.Having})
	}
	return all
}

func under(key string, exprs []Named) []Named {
	out := make([]Named, len(exprs))
	for i, e := range exprs {
		out[i] = Named{key + "." + e.Name, e.Expr}
	}
	return out
}

// text is the query.
func (g *Grouping) text() (sqlText, error) {
	seen := map[string]bool{}
	text := sqlText{}.add("SELECT ")
	for i, e := range append(append([]Named(nil), g.By...), g.Measures...) {
		key := inBy
		if i >= len(g.By) {
			key = inMeasures
		}
		lower := strings.ToLower(e.Name)
		switch {
		case e.Name == "":
			return text, wrong(key, "a column needs a name")
		case seen[lower]:
			return text, wrong(key+"."+e.Name, "there are two columns of this name, and SQL does not tell upper from lower case")
		}
		seen[lower] = true
		if i > 0 {
			text = text.add(", ")
		}
		text = text.arriving(Named{key + "." + e.Name, e.Expr}).add(" AS " + quote(e.Name))
	}
	text = text.add(" FROM input")
	if g.Where != "" {
		text = text.add(" WHERE ").expr(Named{inWhere, g.Where})
	}
	places := make([]string, len(g.By)) // GROUP BY the first, the second, …
	for i := range places {
		places[i] = strconv.Itoa(i + 1)
	}
	text = text.add(" GROUP BY ")
	if len(places) == 0 {
		text = text.add("()")
	} else {
		text = text.add(strings.Join(places, ", "))
	}
	if g.Having != "" {
		text = text.add(" HAVING ").arriving(Named{inHaving, g.Having})
	}
	switch {
	case g.Order != "":
		text = text.add(" ORDER BY ").plain(Named{inOrder, g.Order})
	case len(places) > 0:
		text = text.add(" ORDER BY " + strings.Join(places, ", "))
	}
	return text, nil
}

// explain puts what DuckDB says of groups in terms of a Grouping.
func (c *checker) explain(g Grouping, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	column := func(name string) string {
		name = strings.Trim(name, `"`)
		if c.in.HasField(name) {
			return fmt.Sprintf("column %q has many values in a group: put it under by, or say which one is meant, as in first(%[1]s) or avg(%[1]s)", name)
		}
		return fmt.Sprintf("there is no column %q", name)
	}
	switch name, after, _ := strings.Cut(strings.TrimPrefix(e.Message, "column "), " must appear in the GROUP BY"); {
	case after != "":
		if e.offset < 0 && g.Having != "" { // of a condition DuckDB gives no place
			e.Name = inHaving
		}
		e.Message = column(name)
	case strings.Contains(e.Message, "aliases cannot be used as part of an expression in the GROUP BY"):
		_, name, _ = strings.Cut(e.Message, `alias with name "`)
		name, _, _ = strings.Cut(name, `"`)
		e.Message = column(name)
	case strings.Contains(e.Message, "GROUP BY clause cannot contain aggregates"):
		e.Message = "rows are grouped by what each has alone: an aggregate goes under measures"
	case strings.Contains(e.Message, "WHERE clause cannot contain aggregates"):
		e.Message = "rows are chosen before they are grouped: a condition on groups goes under having"
	}
	return e
}

// arriving appends an expression whose functions of order go by the input's.
func (t sqlText) arriving(e Named) sqlText {
	at := arrivals(e.Expr)
	if len(at) == 0 {
		return t.expr(e)
	}
	t = t.add("(")
	from := 0
	for _, i := range at {
		t = t.part(e, from, i).add(" ORDER BY " + quote(rowNumber))
		from = i
	}
	return t.part(e, from, len(e.Expr)).add("\n)")
}

// plain appends an expression without parentheses.
func (t sqlText) plain(e Named) sqlText { return t.part(e, 0, len(e.Expr)).add("\n") }
