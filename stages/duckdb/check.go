//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// checker finds out what is wrong with expressions, in terms of each of them.
type checker struct {
	db *DB
	in *frame.Schema
}

// wrong is an error about an expression as a whole.
func wrong(name, format string, args ...any) *Error {
	return &Error{Kind: "Binder", Message: fmt.Sprintf(format, args...), Name: name, offset: -1}
}

// Parse checks the syntax of each expression alone, so that none can end the
// parenthesis that it is put into.
func (d *DB) Parse(exprs ...Named) error {
	var conn b.Connection
	if b.Connect(d.db, &conn) == b.StateError {
		return errors.New("duckdb: no connection")
	}
	defer b.Disconnect(&conn)
	for _, e := range exprs {
		if strings.TrimSpace(e.Expr) == "" {
			return wrong(e.Name, "the expression is empty")
		}
		const before = "SELECT "
		var parsed b.ExtractedStatements
		n := b.ExtractStatements(conn, before+e.Expr, &parsed)
		message := b.ExtractStatementsError(parsed)
		b.DestroyExtracted(&parsed)
		if message != "" {
			err := parseError(message)
			sqlText{}.add("SELECT").expr(e).locate(err) // "(" where the blank was
			return err
		}
		if n != 1 {
			return wrong(e.Name, "this is more than one expression: leave out the semicolon")
		}
	}
	return nil
}

// rowWise refuses what does not give each row a value of its own. A WHERE clause
// takes no aggregate, no window function and no unnest, and says so.
func (c *checker) rowWise(ctx context.Context, e Named, table sqlText) error {
	text := sqlText{}.add("SELECT 1 FROM ").append(table).add(" WHERE ").expr(e).add(" IS NULL")
	q, err := c.prepare(ctx, text, true)
	if err == nil {
		q.Close()
		return nil
	}
	var failed *Error
	if errors.As(err, &failed) && failed.Kind == "Binder" {
		switch {
		case strings.Contains(failed.Message, "cannot contain aggregates"), strings.Contains(failed.Message, "must appear in the GROUP BY"):
			failed.Message = "an aggregate function needs all rows, and this expression sees one row at a time"
		case strings.Contains(failed.Message, "cannot contain window functions"):
			failed.Message = "a window function needs other rows, and this expression sees one row at a time"
		case strings.Contains(failed.Message, "not supported here"):
			failed.Message = "unnest makes several rows of one, and this expression has one value for each row"
		}
	}
	return err
}

// prepare makes a query of the input. Once says that it may not read it twice.
func (c *checker) prepare(ctx context.Context, text sqlText, once bool) (*Query, error) {
	q, err := c.db.prepare(ctx, &Query{sql: text.sql, inputs: map[string]*frame.Schema{inputName: c.in}, numbered: true, once: once})
	text.locate(err)
	var failed *Error
	if errors.As(err, &failed) {
		c.hint(failed)
	}
	return q, err
}

// hint tells how to write a name that is not a word for SQL, such as R's
// dep.delay, which SQL takes for column delay of table dep.
func (c *checker) hint(err *Error) {
	_, table, ok := strings.Cut(err.Message, `referenced table "`)
	if !ok {
		return
	}
	table, _, _ = strings.Cut(table, `"`)
	for _, f := range c.in.Fields() {
		if strings.HasPrefix(f.Name, table+".") {
			err.Message = fmt.Sprintf("there is no table %q; a column whose name has a dot is written in double quotes: %s", table, quote(f.Name))
			return
		}
	}
}

// mayReorder finds what may be a subquery. DuckDB makes a join of it, and a
// join need not keep the order of the rows.
var mayReorder = regexp.MustCompile(`(?i)\b(select|from|values|table)\b`)

// expressions prepares the columns of a table of expressions, and evaluates them
// over no rows. That shows which columns are read, and what only shows in a run,
// such as a subquery that reads the input again.
func (c *checker) expressions(ctx context.Context, columns string, table sqlText) (*Expressions, error) {
	text := sqlText{}.add("SELECT " + columns + ", " + quote(rowNumber) + " FROM ").append(table)
	for _, s := range text.spans {
		if mayReorder.MatchString(s.Expr) {
			text = text.add(" ORDER BY " + quote(rowNumber))
			break
		}
	}
	q, err := c.prepare(ctx, text, true)
	if err != nil {
		return nil, err
	}
	last := q.Schema().NumFields() - 1
	x := &Expressions{query: q, text: text, schema: arrow.NewSchema(q.Schema().Fields()[:last], nil)}
	if _, err = x.Eval(ctx, frame.Empty(c.in)); err == nil {
		x.uses = q.used(inputName)
		err = c.ambiguous(x.uses)
	}
	if err != nil {
		x.Close()
		return nil, err
	}
	return x, nil
}

// ambiguous refuses a column that is read and differs only in case from another.
func (c *checker) ambiguous(uses []string) error {
	for _, f := range c.in.Fields() {
		for _, u := range uses {
			if u != f.Name && strings.EqualFold(u, f.Name) {
				return wrong("", "the columns %q and %q differ only in case, and SQL cannot tell them apart: rename one of them first", u, f.Name)
			}
		}
	}
	return nil
}
