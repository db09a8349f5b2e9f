//go:build cgo

package stages

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages/duckdb"
)

// openSQL opens DuckDB. One thread a query is the fastest for queries over
// single batches, many of which run at once.
func openSQL(o sqlOptions) (sqlDatabase, error) {
	db, err := duckdb.Open(duckdb.Options{Temp: o.temp, Memory: o.memory, Threads: 1})
	if err != nil {
		return nil, err
	}
	return duckDatabase{db}, nil
}

type duckDatabase struct{ db *duckdb.DB }

func (d duckDatabase) engine() SQLEngine {
	return &duckEngine{db: d.db, tables: map[string]*duckdb.Table{}}
}
func (d duckDatabase) close() { d.db.Close() }

// duckEngine is one stage's view of the database: its tables are its own.
type duckEngine struct {
	db *duckdb.DB

	mu     sync.Mutex
	tables map[string]*duckdb.Table
}

func (e *duckEngine) Parse(exprs []SQLExpr) error { return e.db.Parse(named(exprs)...) }

func (e *duckEngine) Condition(ctx context.Context, in *frame.Schema, condition string) (SQLColumns, error) {
	return e.db.Condition(ctx, in, condition)
}

func (e *duckEngine) Columns(ctx context.Context, in *frame.Schema, exprs []SQLExpr) (SQLColumns, error) {
	return e.db.Columns(ctx, in, named(exprs))
}

func (e *duckEngine) CreateTable(ctx context.Context, name string, schema *frame.Schema, next SQLInput) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for have := range e.tables {
		if strings.EqualFold(have, name) {
			return fmt.Errorf("there are two tables called %q", name)
		}
	}
	table, err := e.db.CreateTable(ctx, schema, duckdb.Input{Next: next})
	if err == nil {
		e.tables[name] = table
	}
	return err
}

func (e *duckEngine) Query(ctx context.Context, sql string, inputs map[string]*frame.Schema) (SQLQuery, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.db.PrepareWith(ctx, sql, inputs, e.tables)
	if err != nil {
		return nil, err
	}
	return duckQuery{q}, nil
}

func (e *duckEngine) Group(ctx context.Context, in *frame.Schema, g SQLGrouping) (SQLQuery, error) {
	q, err := e.db.Group(ctx, in, grouping(g))
	if err != nil {
		return nil, err
	}
	return duckQuery{q}, nil
}

func (e *duckEngine) ParseGrouping(g SQLGrouping) error { return e.db.ParseGrouping(grouping(g)) }

func (e *duckEngine) Sort(ctx context.Context, in *frame.Schema, by []string) (SQLQuery, error) {
	q, err := e.db.Sort(ctx, in, by)
	if err != nil {
		return nil, err
	}
	return duckQuery{q}, nil
}

func grouping(g SQLGrouping) duckdb.Grouping {
	return duckdb.Grouping{By: named(g.By), Measures: named(g.Measures), Where: g.Where, Having: g.Having, Order: g.Order}
}

type duckQuery struct{ *duckdb.Query }

func (q duckQuery) Run(ctx context.Context, inputs map[string]SQLInput, emit func(frame.Frame) error) error {
	ins := make(map[string]duckdb.Input, len(inputs))
	for name, next := range inputs {
		ins[name] = duckdb.Input{Next: next}
	}
	return q.Query.Run(ctx, ins, emit)
}

func named(exprs []SQLExpr) []duckdb.Named {
	n := make([]duckdb.Named, len(exprs))
	for i, x := range exprs {
		n[i] = duckdb.Named{Name: x.Name, Expr: x.SQL}
	}
	return n
}
