//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// Query is a SELECT that was checked against the schemas of its inputs. Its
// methods may be called by several goroutines: each run has a connection, which
// is kept for the next one.
type Query struct {
	db       *DB
	sql      string
	inputs   map[string]*frame.Schema
	tables   map[string]*Table
	names    []string    // of the inputs, sorted
	numbered bool        // the inputs have the column rowNumber
	once     bool        // no input may be read more than once
	again    []bool      // of the inputs, those that are read more than once; nil for none
	explain  func(error) // puts an error of a run in terms of the query's parts; nil where it has none
	creates  string      // the table that the input is put into, where that is all
	schema   *frame.Schema
	columns  string // the outermost select list, which casts to types of frames

	mu     sync.Mutex
	idle   []*runner
	closed bool
}

// Prepare checks a SELECT whose tables are the inputs, by name, and finds out
// the schema of its result. An input that it reads more than once is read whole
// first, into memory or Options.Temp. The error is an *Error where the query is
// at fault.
func (d *DB) Prepare(ctx context.Context, sql string, inputs map[string]*frame.Schema) (*Query, error) {
	return d.PrepareWith(ctx, sql, inputs, nil)
}

// PrepareWith is Prepare of a query that may read tables, too. The names of
// inputs and tables must differ.
func (d *DB) PrepareWith(ctx context.Context, sql string, inputs map[string]*frame.Schema, tables map[string]*Table) (*Query, error) {
	for _, s := range inputs {
		if err := distinct(s); err != nil {
			return nil, err
		}
	}
	return d.prepare(ctx, &Query{sql: sql, inputs: maps.Clone(inputs), tables: maps.Clone(tables)})
}

func (d *DB) prepare(ctx context.Context, q *Query) (*Query, error) {
	q.db = d
	for name := range q.inputs {
		q.names = append(q.names, name)
	}
	slices.Sort(q.names)
	if err := d.add(q); err != nil {
		return nil, err
	}
	if err := q.check(ctx); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// check prepares the query once more where it must be another statement: with
// casts, where one of its columns is not of a type of frames, or with an input
// that is materialized.
func (q *Query) check(ctx context.Context) error {
	q.columns = "*"
	r, err := q.newRunner(ctx)
	if err != nil {
		return err
	}
	again := false
	if !q.once {
		if again, err = q.rereads(ctx, r); err != nil {
			r.close()
			return err
		}
	}
	if n := b.NParams(r.statement); n > 0 {
		r.close()
		return &Error{Kind: "Binder", Message: "the query has parameters (? or $1), which have no values here", offset: -1}
	}
	columns, err := q.readColumns(r.statement)
	if err != nil || columns == "" && !again {
		q.put(r)
		return err
	}
	r.close()
	if columns != "" {
		q.columns = columns
	}
	if r, err = q.newRunner(ctx); err != nil {
		return err
	}
	q.put(r)
	return nil
}

// readColumns fills the schema and returns the select list that the query
// needs; "" for none but the star.
func (q *Query) readColumns(p b.PreparedStatement) (list string, err error) {
	n := int(b.PreparedStatementColumnCount(p))
	fields := make([]arrow.Field, n)
	selects := make([]string, n)
	casts := false
	for i := range n {
		name := b.PreparedStatementColumnName(p, b.IdxT(i))
		t := b.PreparedStatementColumnLogicalType(p, b.IdxT(i))
		f, cast, err := outType(t)
		b.DestroyLogicalType(&t)
		if err != nil {
			return "", &Error{Kind: "Binder", Name: name, Message: err.Error(), offset: -1}
		}
		f.Name = name
		fields[i] = f
		column := "c" + strconv.Itoa(i)
		selects[i] = castSQL(column, cast)
		casts = casts || selects[i] != column
		selects[i] += " AS " + quote(name)
	}
	q.schema = arrow.NewSchema(fields, nil)
	if !casts {
		return "", nil
	}
	return strings.Join(selects, ", "), nil
}

// text is the statement for the scans of one runner, and where the query
// begins in it. The line feed ends a comment at the end of the query.
func (q *Query) text(scans []*scan) (text string, from int) {
	if q.creates != "" {
		return fmt.Sprintf("CREATE TABLE %s AS FROM %s(%d)", q.creates, scanFunction, scans[0].handle), 0
	}
	var t strings.Builder
	sep := "WITH "
	with := func(name, how, from string) {
		t.WriteString(sep + quote(name) + " AS " + how + "MATERIALIZED (FROM " + from + ")")
		sep = ", "
	}
	for i, s := range scans {
		how := "NOT " // by default a CTE that is read more than once is
		if q.again != nil && q.again[i] {
			how = ""
		}
		with(s.name, how, fmt.Sprintf("%s(%d)", scanFunction, s.handle))
	}
	for _, name := range slices.Sorted(maps.Keys(q.tables)) {
		with(name, "NOT ", q.tables[name].name)
	}
	t.WriteString(" SELECT " + q.columns + " FROM (")
	from = t.Len()
	t.WriteString(q.sql)
	t.WriteString("\n) AS result")
	if q.columns != "*" {
		names := make([]string, q.schema.NumFields())
		for i := range names {
			names[i] = "c" + strconv.Itoa(i)
		}
		t.WriteString("(" + strings.Join(names, ", ") + ")")
	}
	return t.String(), from
}

// Schema is the schema of the result.
func (q *Query) Schema() *frame.Schema { return q.schema }

// Uses are the columns that the last run read of the input called input: of a
// query from DB.Group, before any run, all that it reads.
func (q *Query) Uses() []string { return q.used(inputName) }

// used are the columns that the last run read of an input.
func (q *Query) used(input string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.names, input)
	if i < 0 || len(q.idle) == 0 {
		return nil
	}
	return q.idle[0].scans[i].columnNames()
}

// Close gives back what the query holds. Runs that are under way end by themselves.
func (q *Query) Close() {
	q.db.remove(q)
	q.closeIdle()
}

func (q *Query) closeIdle() {
	q.mu.Lock()
	idle := q.idle
	q.idle, q.closed = nil, true
	q.mu.Unlock()
	for _, r := range idle {
		r.close()
	}
}

// take returns an idle runner or a new one.
func (q *Query) take(ctx context.Context) (*runner, error) {
	q.mu.Lock()
	if n := len(q.idle); n > 0 {
		r := q.idle[n-1]
		q.idle = q.idle[:n-1]
		q.mu.Unlock()
		return r, nil
	}
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return nil, errors.New("duckdb: the query is closed")
	}
	return q.newRunner(ctx)
}

func (q *Query) put(r *runner) {
	q.mu.Lock()
	if !q.closed {
		q.idle = append(q.idle, r)
		r = nil
	}
	q.mu.Unlock()
	if r != nil {
		r.close()
	}
}

// quote makes an identifier of any text.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
