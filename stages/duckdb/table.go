//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// Table is rows that the database holds: unlike an [Input], a query may read it
// any number of times, and any number of queries may. It is kept in memory, of
// which Options.Memory is the limit, and beyond that in Options.Temp.
type Table struct {
	db     *DB
	name   string // in the database
	schema *frame.Schema
	rows   int64
}

// CreateTable reads an input of that schema to its end, into a table. Columns of
// a type that SQL does not have are left out. The error is an *Error where the
// columns are at fault or memory is too small.
func (d *DB) CreateTable(ctx context.Context, schema *frame.Schema, in Input) (*Table, error) {
	if err := distinct(schema); err != nil {
		return nil, err
	}
	t := &Table{db: d, name: fmt.Sprintf("rpipe_table_%d", d.tables.Add(1)), schema: schema}
	q := &Query{db: d, inputs: map[string]*frame.Schema{inputName: schema}, names: []string{inputName}, creates: t.name, schema: schema}
	if err := d.add(q); err != nil {
		return nil, err
	}
	defer q.Close()
	next := in.Next
	in.Next = func(ctx context.Context) (frame.Frame, error) {
		f, err := next(ctx)
		if err == nil {
			t.rows += f.NumRows()
		}
		return f, err
	}
	if err := q.run(ctx, map[string]Input{inputName: in}, func(b.DataChunk) error { return nil }); err != nil {
		return nil, err
	}
	return t, nil
}

// Schema is that of the frames that the table was made of.
func (t *Table) Schema() *frame.Schema { return t.schema }

// Rows is how many there are.
func (t *Table) Rows() int64 { return t.rows }

// Drop gives back the table's memory. No query of it may run any more.
func (t *Table) Drop() error {
	var c b.Connection
	if b.Connect(t.db.db, &c) == b.StateError {
		return fmt.Errorf("duckdb: no connection")
	}
	defer b.Disconnect(&c)
	return exec(c, "DROP TABLE "+t.name)
}

// distinct refuses columns whose names differ only in case.
func distinct(s *frame.Schema) error {
	seen := map[string]string{}
	for _, f := range s.Fields() {
		lower := strings.ToLower(f.Name)
		if have, ok := seen[lower]; ok {
			names := []string{have, f.Name}
			slices.Sort(names)
			return wrong("", "the columns %q and %q differ only in case, and SQL cannot tell them apart: rename one of them first", names[0], names[1])
		}
		seen[lower] = f.Name
	}
	return nil
}
