//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// vectorRows is how many rows DuckDB takes at a time.
const vectorRows = 2048

// scan is one input of one connection's prepared statement. The statement runs
// again and again; start and stop put an input into the scan for one run.
type scan struct {
	name    string // of the input, for errors
	handle  cgo.Handle
	columns []scanColumn // what DuckDB sees, in its order

	mu    sync.Mutex // callbacks come on DuckDB's threads
	ctx   context.Context
	in    Input
	used  []int // the columns that this run reads
	begun bool  // DuckDB has started to read
	cur   frame.Frame
	views []view // of used, in cur
	row   int    // in cur
	rows  int64  // before cur
	err   error  // what ended it, before DuckDB made a text of it
}

// scanColumn is a column as it was bound.
type scanColumn struct {
	name  string // as SQL sees it
	field arrow.Field
	index int // in the frames; isRowNumber for none of them
}

// isRowNumber is the index of the column rowNumber.
const isRowNumber = -1

// newScan lays out the columns that SQL can have. Others are left out: a query
// that names one of them fails, others do not mind.
func newScan(name string, schema *frame.Schema, numbered bool) *scan {
	s := &scan{name: name}
	if numbered {
		f := arrow.Field{Name: rowNumber, Type: arrow.PrimitiveTypes.Int64}
		s.columns = append(s.columns, scanColumn{name: rowNumber, field: f, index: isRowNumber})
	}
	for i, f := range schema.Fields() {
		if _, _, ok := inType(f); ok {
			s.columns = append(s.columns, scanColumn{name: f.Name, field: f, index: i})
		}
	}
	s.handle = cgo.NewHandle(s)
	return s
}

func (s *scan) start(ctx context.Context, in Input) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.in = ctx, in
	s.used, s.begun, s.err = s.used[:0], false, nil
}

// stop lets go of the frames and returns the error that the input had.
func (s *scan) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.in, s.cur = nil, Input{}, nil
	clear(s.views)
	return s.err
}

// columnNames are the columns that the last run read.
func (s *scan) columnNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.used))
	for _, u := range s.used {
		if u < len(s.columns) && s.columns[u].index != isRowNumber {
			names = append(names, s.columns[u].field.Name)
		}
	}
	return names
}

// fill copies the next rows into a chunk; 0 is the end.
func (s *scan) fill(chunk b.DataChunk) (int, error) {
	for s.cur == nil || s.row >= int(s.cur.NumRows()) {
		s.rows += int64(s.row)
		s.cur, s.row = nil, 0
		f, err := s.in.Next(s.ctx)
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if err := s.look(f); err != nil {
			return 0, err
		}
	}
	n := min(vectorRows, int(s.cur.NumRows())-s.row)
	for j, u := range s.used {
		if u >= len(s.columns) {
			continue // a virtual column, as count(*) asks for
		}
		vector := b.DataChunkGetVector(chunk, b.IdxT(j))
		if s.columns[u].index == isRowNumber {
			numbers := unsafe.Slice((*int64)(b.VectorGetData(vector)), n)
			for i := range numbers {
				numbers[i] = s.rows + int64(s.row+i)
			}
			continue
		}
		if err := s.views[j].put(vector, s.row, n); err != nil {
			return 0, fmt.Errorf("column %q of %s: %w", s.columns[u].field.Name, s.name, err)
		}
	}
	s.row += n
	return n, nil
}

// look prepares the used columns of a frame.
func (s *scan) look(f frame.Frame) error {
	for j, u := range s.used {
		if u >= len(s.columns) || s.columns[u].index == isRowNumber {
			continue
		}
		c := s.columns[u]
		if c.index >= int(f.NumCols()) || f.ColumnName(c.index) != c.field.Name || !sameInType(f.Schema().Field(c.index), c.field) {
			return fmt.Errorf("column %q of %s is not what the query was prepared for: the columns changed from one batch to the next", c.field.Name, s.name)
		}
		s.views[j] = viewOf(f.Column(c.index))
	}
	s.cur = f
	return nil
}

func sameInType(x, y arrow.Field) bool {
	tx, lx, okx := inType(x)
	ty, ly, oky := inType(y)
	return okx && oky && tx == ty && lx == ly
}
