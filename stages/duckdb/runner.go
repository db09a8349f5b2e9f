//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	b "github.com/duckdb/duckdb-go-bindings"
)

// runner is a connection with the query prepared on it. One goroutine uses it.
type runner struct {
	conn      b.Connection
	statement b.PreparedStatement
	from      int     // where the query begins in the statement
	scans     []*scan // in the order of Query.names
}

func (q *Query) newRunner(ctx context.Context) (*runner, error) {
	r := &runner{}
	if b.Connect(q.db.db, &r.conn) == b.StateError {
		return nil, errors.New("duckdb: no connection")
	}
	for _, name := range q.names {
		r.scans = append(r.scans, newScan(name, q.inputs[name], q.numbered))
	}
	var text string
	text, r.from = q.text(r.scans)
	unwatch := r.watch(ctx)
	state := b.Prepare(r.conn, text, &r.statement)
	unwatch()
	if state == b.StateSuccess {
		return r, nil
	}
	err := r.failure(b.PrepareError(r.statement))
	r.close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	err.nameTables(slices.Concat(q.names, slices.Sorted(maps.Keys(q.tables))))
	err.locate(q.sql)
	return nil, err
}

func (r *runner) close() {
	b.DestroyPrepare(&r.statement)
	b.Disconnect(&r.conn)
	for _, s := range r.scans {
		s.handle.Delete()
	}
}

// failure is an error of DuckDB's, its place counted from the query's beginning.
func (r *runner) failure(message string) *Error {
	err := parseError(message)
	if err.offset >= 0 {
		err.offset -= r.from
	}
	return err
}

// interruptEvery is how often a connection is interrupted until it listens: an
// interrupt that comes before DuckDB has begun is forgotten.
const interruptEvery = 5 * time.Millisecond

// watch interrupts the connection when ctx ends. The function it returns ends
// the watch, and returns only when no interrupt can come any more.
func (r *runner) watch(ctx context.Context) func() {
	done, stopped := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		again := time.NewTicker(interruptEvery)
		defer again.Stop()
		for {
			b.Interrupt(r.conn)
			select {
			case <-done:
				return
			case <-again.C:
			}
		}
	})
	return func() {
		close(done)
		if !stop() {
			<-stopped
		}
	}
}
