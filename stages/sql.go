package stages

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/frame"
)

// sqlEngine evaluates SQL expressions over frames. It is an interface because
// DuckDB needs cgo, and rpipe can be built without: see openSQL. Its methods may
// be called by several goroutines.
type sqlEngine interface {
	// Parse checks the syntax of expressions alone.
	Parse(exprs []sqlExpr) error
	// Condition checks a condition against a schema. Its column is true where
	// the condition is, and false where it is false or NULL.
	Condition(ctx context.Context, in *frame.Schema, condition string) (sqlColumns, error)
	// Columns checks expressions against a schema, each of which sees the
	// columns of those before it.
	Columns(ctx context.Context, in *frame.Schema, exprs []sqlExpr) (sqlColumns, error)
	// Close closes the engine and all that it made, none of which may be in use.
	Close()
}

// sqlColumns computes columns from the rows of a frame, one by one and in their
// order.
type sqlColumns interface {
	Schema() *frame.Schema
	// Eval's error has a method RowError that returns true where some row's
	// values are to blame, and not the query or the machine.
	Eval(ctx context.Context, f frame.Frame) (frame.Frame, error)
}

// sqlExpr is an expression and the name of its column.
type sqlExpr struct{ name, sql string }

// sqlOptions are the limits of an engine.
type sqlOptions struct {
	temp   string // where it may spill; "" for nowhere
	memory int64  // bytes; 0 for its default
}

// leastSQLMemory is what DuckDB needs for several batches at once, whatever the
// run's limit.
const leastSQLMemory = 64 << 20

type sqlKey struct{}

// sql is the engine of the run, which all its SQL stages share. It is closed
// with the run.
func (e *Env) sql() (sqlEngine, error) {
	temp, err := e.TempDir()
	if err != nil {
		return nil, err
	}
	opened := false
	v, err := e.Shared(sqlKey{}, func() (any, error) {
		opened = true
		var o sqlOptions
		if e.Memory > 0 {
			o.memory = max(e.Memory, leastSQLMemory)
		}
		if temp != "" {
			o.temp = filepath.Join(temp, "sql")
		}
		return openSQL(o)
	})
	if err != nil {
		return nil, err
	}
	engine := v.(sqlEngine)
	if opened {
		e.OnClose(engine.Close)
	}
	return engine, nil
}

// planSQL runs f with an engine that is closed again: Plan has no run.
func planSQL(f func(sqlEngine) (*frame.Schema, error)) (*frame.Schema, error) {
	engine, err := openSQL(sqlOptions{})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	return f(engine)
}

// isRowError tells that some row's values made an expression fail.
func isRowError(err error) bool {
	var e interface{ RowError() bool }
	return errors.As(err, &e) && e.RowError()
}
