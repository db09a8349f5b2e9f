package stages

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages/duckdb"
)

// SQLEngine runs SQL over frames. It is an interface because DuckDB needs cgo,
// and rpipe can be built without: see openSQL. Its methods may be called by
// several goroutines. Errors that are the SQL's fault are a *SQLError.
type SQLEngine interface {
	// Parse checks the syntax of expressions alone.
	Parse(exprs []SQLExpr) error
	// Condition checks a condition against a schema. Its column is true where
	// the condition is, and false where it is false or NULL.
	Condition(ctx context.Context, in *frame.Schema, condition string) (SQLColumns, error)
	// Columns checks expressions against a schema, each of which sees the
	// columns of those before it.
	Columns(ctx context.Context, in *frame.Schema, exprs []SQLExpr) (SQLColumns, error)
	// CreateTable reads all frames of next, until io.EOF, into a table, which
	// the queries that are made afterwards can read by that name. Names belong to
	// this engine value alone. It counts towards the memory limit, beyond which it
	// goes to the disk.
	CreateTable(ctx context.Context, name string, schema *frame.Schema, next SQLInput) error
	// Query checks a SELECT over inputs, which stream, and the tables. What it
	// reads more than once of an input is read whole first, and spooled.
	Query(ctx context.Context, sql string, inputs map[string]*frame.Schema) (SQLQuery, error)
	// Group checks a grouping of the rows of one input, called input.
	Group(ctx context.Context, in *frame.Schema, g SQLGrouping) (SQLQuery, error)
	// ParseGrouping checks its syntax alone.
	ParseGrouping(g SQLGrouping) error
	// Sort gives the rows of one input, called input, by columns, and where these
	// are equal in the order of the input.
	Sort(ctx context.Context, in *frame.Schema, by []string) (SQLQuery, error)
}

// SQLColumns computes columns from the rows of a frame, one by one and in their
// order.
type SQLColumns interface {
	Schema() *frame.Schema
	// Eval's error has a method RowError that returns true where some row's
	// values are to blame, and not the query or the machine.
	Eval(ctx context.Context, f frame.Frame) (frame.Frame, error)
}

// SQLInput gives the frames of an input one after another, then io.EOF. It is
// called by one goroutine at a time, when the query needs rows, and must return
// soon after ctx ends. All frames have the input's schema.
type SQLInput func(ctx context.Context) (frame.Frame, error)

// SQLQuery is a SELECT that was checked. It may be run several times, also at once.
type SQLQuery interface {
	Schema() *frame.Schema
	// Run pulls the inputs no faster than emit takes the result, frame by frame
	// of up to frame.Rows rows. emit is called from this goroutine. An error of an
	// input or of emit, and the context's cause, come back as they are.
	Run(ctx context.Context, inputs map[string]SQLInput, emit func(frame.Frame) error) error
	// Uses are the columns that the last run read of the input called input.
	Uses() []string
	// Close gives back what it holds before the engine closes. Runs that are
	// under way end by themselves.
	Close()
}

// SQLError is what DuckDB says about a query or an expression: its Kind, where
// in the text (Line and Column, from 1; 0 unknown), and the Name of the
// expression of several: its key in the stage's configuration.
type SQLError = duckdb.Error

// SQLExpr is an expression and the name of its column.
type SQLExpr struct{ Name, SQL string }

// SQLGrouping is GROUP BY with its columns and conditions. Empty conditions are
// none, and an empty Order is that of By.
type SQLGrouping struct {
	By, Measures         []SQLExpr
	Where, Having, Order string
}

// sqlDatabase is what the engines of a run share: one database, whose memory
// limit is that of all of them together.
type sqlDatabase interface {
	engine() SQLEngine
	close()
}

// sqlOptions are the limits of a database.
type sqlOptions struct {
	temp   string // where it may spill; "" for nowhere
	memory int64  // bytes; 0 for its default
}

// leastSQLMemory is what DuckDB needs for several batches at once, whatever the
// run's limit.
const leastSQLMemory = 64 << 20

type sqlKey struct{}

// SQL is the engine of the run for one stage. All stages share its memory, which
// is Env.Memory in all, and spill to the run's scratch directory beyond it. It
// is closed with the run.
func (e *Env) SQL() (SQLEngine, error) {
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
	db := v.(sqlDatabase)
	if opened {
		e.OnClose(db.close)
	}
	return db.engine(), nil
}

// PlanSQL runs f with an engine that is closed again: for Transform.Plan, which
// has no run.
func PlanSQL(f func(SQLEngine) (*frame.Schema, error)) (*frame.Schema, error) {
	db, err := openSQL(sqlOptions{})
	if err != nil {
		return nil, err
	}
	defer db.close()
	return f(db.engine())
}

// isRowError tells that some row's values made an expression fail.
func isRowError(err error) bool {
	var e interface{ RowError() bool }
	return errors.As(err, &e) && e.RowError()
}
