//go:build cgo

package duckdb

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"
)

// scanRows is how many rows DuckDB believes an input to have, so that it joins
// tables to inputs by reading the tables first: an input then streams. The last
// digits tell the scans of a plan apart.
func scanRows(handle int64) int64 { return 1_000_000_000_000 + handle }

// planNode is an operator as EXPLAIN describes it.
type planNode struct {
	Name     string     `json:"name"`
	Children []planNode `json:"children"`
	Extra    struct {
		Rows string `json:"Estimated Cardinality"`
	} `json:"extra_info"`
}

// rereads finds out which inputs the query would read more than once, as DuckDB
// plans it. A stream cannot be: they are materialized first. It returns whether
// there are any.
func (q *Query) rereads(ctx context.Context, r *runner) (found bool, err error) {
	text, _ := q.text(r.scans)
	plan, err := r.explain(ctx, text)
	if err != nil {
		return false, err
	}
	times := map[string]int{}
	var count func(nodes []planNode)
	count = func(nodes []planNode) {
		for _, n := range nodes {
			if strings.EqualFold(n.Name, scanFunction) {
				times[n.Extra.Rows]++
			}
			count(n.Children)
		}
	}
	count(plan)
	q.again = make([]bool, len(r.scans))
	for i, s := range r.scans {
		q.again[i] = times[strconv.FormatInt(scanRows(int64(s.handle)), 10)] > 1
		found = found || q.again[i]
	}
	return found, nil
}

// explain is the plan of a statement.
func (r *runner) explain(ctx context.Context, text string) ([]planNode, error) {
	unwatch := r.watch(ctx)
	defer unwatch()
	var result b.Result
	defer b.DestroyResult(&result)
	if b.Query(r.conn, "EXPLAIN (FORMAT json) "+text, &result) == b.StateError {
		return nil, r.failure(b.ResultError(&result))
	}
	chunk := b.FetchChunk(result)
	if chunk.Ptr == nil {
		return nil, errors.New("duckdb: a query has no plan")
	}
	defer b.DestroyDataChunk(&chunk)
	column := newColumn(arrow.BinaryTypes.String, 1)
	if err := column.get(b.DataChunkGetVector(chunk, 1), 0, 1); err != nil {
		return nil, err
	}
	var plan []planNode
	return plan, json.Unmarshal(column.data, &plan)
}
