//go:build cgo

package stages

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages/duckdb"
)

// openSQL opens DuckDB. One thread a query is the fastest for queries over
// single batches, many of which run at once.
func openSQL(o sqlOptions) (sqlEngine, error) {
	db, err := duckdb.Open(duckdb.Options{Temp: o.temp, Memory: o.memory, Threads: 1})
	if err != nil {
		return nil, err
	}
	return duckEngine{db}, nil
}

type duckEngine struct{ db *duckdb.DB }

func (e duckEngine) Parse(exprs []sqlExpr) error { return e.db.Parse(named(exprs)...) }

func (e duckEngine) Condition(ctx context.Context, in *frame.Schema, condition string) (sqlColumns, error) {
	return e.db.Condition(ctx, in, condition)
}

func (e duckEngine) Columns(ctx context.Context, in *frame.Schema, exprs []sqlExpr) (sqlColumns, error) {
	return e.db.Columns(ctx, in, named(exprs))
}

func (e duckEngine) Close() { e.db.Close() }

func named(exprs []sqlExpr) []duckdb.Named {
	n := make([]duckdb.Named, len(exprs))
	for i, x := range exprs {
		n[i] = duckdb.Named{Name: x.name, Expr: x.sql}
	}
	return n
}
