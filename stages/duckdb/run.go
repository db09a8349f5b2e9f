//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// flushBytes is the size of a column of text at which a frame is handed over
// before it has all its rows.
const flushBytes = 64 << 20

// Run runs the query over inputs, one for each schema that it was prepared
// with, and hands its result to emit in frames of up to frame.Rows rows. The
// order of the rows is that of DuckDB: the input's, where the query does not
// say otherwise. Emit is called from this goroutine; while it works, DuckDB
// computes about a megabyte ahead. An error of emit or of an input ends the
// query and is returned as it is; so is the context's cause.
func (q *Query) Run(ctx context.Context, inputs map[string]Input, emit func(frame.Frame) error) error {
	c := newCollector(q.schema, frame.Rows)
	err := q.run(ctx, inputs, func(chunk b.DataChunk) error {
		if n := int(b.DataChunkGetSize(chunk)); c.rows > 0 && (c.rows+n > frame.Rows || c.bytes() > flushBytes) {
			if err := emit(c.frame()); err != nil {
				return err
			}
		}
		return c.add(chunk)
	})
	if err != nil || c.rows == 0 {
		return err
	}
	return emit(c.frame())
}

// Collect runs the query and returns its result as one frame.
func (q *Query) Collect(ctx context.Context, inputs map[string]Input) (frame.Frame, error) {
	return q.collect(ctx, inputs, frame.Rows)
}

// collect expects so many rows.
func (q *Query) collect(ctx context.Context, inputs map[string]Input, rows int) (frame.Frame, error) {
	c := newCollector(q.schema, rows)
	if err := q.run(ctx, inputs, c.add); err != nil {
		return nil, err
	}
	return c.frame(), nil
}

func (q *Query) run(ctx context.Context, inputs map[string]Input, take func(b.DataChunk) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, name := range q.names {
		if inputs[name].Next == nil {
			return fmt.Errorf("duckdb: the query reads %s, and there is no such input", name)
		}
	}
	r, err := q.take(ctx)
	if err != nil {
		return err
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, s := range r.scans {
		s.start(reading, inputs[q.names[i]])
	}
	unwatch := r.watch(ctx)
	err = r.stream(cancel, take)
	unwatch()

	// Where the query did not come to its end, tasks of it may still run on
	// DuckDB's threads. Only closing the connection waits for them.
	var failed *Error
	over := err == nil || errors.As(err, &failed) && failed.RowError()
	if !over {
		r.close()
	}
	var cause error
	for _, s := range r.scans {
		if e := s.stop(); cause == nil {
			cause = e
		}
	}
	if over {
		q.put(r)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed != nil && cause != nil:
		return cause
	case failed != nil && failed.Kind == "INTERRUPT": // and nobody interrupted it
		failed.Message = "the query failed on one of several threads, and DuckDB lost the reason"
	case failed != nil:
		q.nameColumn(failed)
		if q.explain == nil {
			failed.locate(q.sql)
		} else {
			q.explain(failed)
		}
	}
	return err
}

// ofCast is how DuckDB tells of a value that does not fit the type of a column
// of the result.
var ofCast = regexp.MustCompile(`^type (\w+) with value (\S+) can't be cast because .* when casting from source column c(\d+)$`)

// nameColumn says which column of the result has a value that no frame can hold.
func (q *Query) nameColumn(e *Error) {
	m := ofCast.FindStringSubmatch(e.Message)
	if m == nil {
		return
	}
	if i, err := strconv.Atoi(m[3]); err == nil && i < q.schema.NumFields() {
		f := q.schema.Field(i)
		e.Message = fmt.Sprintf("%s in column %q is too large for %s: cast it to DOUBLE to have it rounded", m[2], f.Name, frame.TypeName(f))
	}
}

// stream executes the statement and takes its result chunk by chunk. It calls
// cancel before it gives up a query, so that no task of it waits for input.
func (r *runner) stream(cancel func(), take func(b.DataChunk) error) error {
	var pending b.PendingResult
	defer b.DestroyPending(&pending)
	defer cancel()
	if b.PendingPreparedStreaming(r.statement, &pending) == b.StateError {
		return r.failure(b.PendingError(pending))
	}
	var result b.Result
	defer b.DestroyResult(&result)
	defer cancel()
	if b.ExecutePending(pending, &result) == b.StateError {
		return r.failure(b.ResultError(&result))
	}
	for {
		chunk := b.FetchChunk(result)
		if chunk.Ptr == nil {
			if message := b.ResultError(&result); message != "" {
				return r.failure(message)
			}
			return nil
		}
		if b.DataChunkGetSize(chunk) == 0 { // the end; another fetch would be an error
			b.DestroyDataChunk(&chunk)
			return nil
		}
		err := take(chunk)
		b.DestroyDataChunk(&chunk)
		if err != nil {
			return err
		}
	}
}
