//go:build cgo

package duckdb

/*
#include <stdint.h>
#include <stdlib.h>
void rpipeScanBind(void *info);
void rpipeScanInit(void *info);
void rpipeScanFill(void *info, void *chunk);
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"runtime/debug"
	"strings"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// scanFunction is the table function that all queries read through. Its
// argument is the cgo.Handle of a scan.
const scanFunction = "rpipe_scan"

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

// rowNumber is a column of BIGINT that counts an input's rows from 0, for
// queries that must tell them apart.
const (
	rowNumber   = "rpipe row number"
	isRowNumber = -1
)

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

// registerScan makes the table function known to the whole database.
func registerScan(c b.Connection) error {
	f := b.CreateTableFunction()
	defer b.DestroyTableFunction(&f)
	b.TableFunctionSetName(f, scanFunction)
	t := b.CreateLogicalType(b.TypeBigInt)
	defer b.DestroyLogicalType(&t)
	b.TableFunctionAddParameter(f, t)
	b.TableFunctionSetBind(f, C.rpipeScanBind)
	b.TableFunctionSetInit(f, C.rpipeScanInit)
	b.TableFunctionSetFunction(f, C.rpipeScanFill)
	b.TableFunctionSupportsProjectionPushdown(f, true)
	if b.RegisterTableFunction(c, f) == b.StateError {
		return errors.New("the table function was refused")
	}
	return nil
}

// A panic must not cross C++: it would end the process.
func guard(report func(string)) {
	if p := recover(); p != nil {
		report(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
	}
}

//export rpipeScanBind
func rpipeScanBind(info unsafe.Pointer) {
	bind := b.BindInfo{Ptr: info}
	fail := func(message string) { b.BindSetError(bind, message) }
	defer guard(fail)
	v := b.BindGetParameter(bind, 0)
	handle := b.GetInt64(v)
	b.DestroyValue(&v)
	s, ok := cgo.Handle(handle).Value().(*scan)
	if !ok {
		fail("this table function is for inputs of rpipe only")
		return
	}
	taken := map[string]bool{}
	for i := range s.columns {
		c := &s.columns[i]
		c.name = uniqueName(taken, c.field.Name, i)
		t := logicalType(c.field)
		b.BindAddResultColumn(bind, c.name, t)
		b.DestroyLogicalType(&t)
	}
	if len(s.columns) == 0 { // DuckDB wants one; its rows still count
		t := b.CreateLogicalType(b.TypeBoolean)
		b.BindAddResultColumn(bind, "no column", t)
		b.DestroyLogicalType(&t)
	}
	p := (*C.int64_t)(C.malloc(C.size_t(unsafe.Sizeof(C.int64_t(0)))))
	*p = C.int64_t(handle)
	b.BindSetBindData(bind, unsafe.Pointer(p), C.free)
}

// uniqueName is the name of column i for SQL, where names are not case
// sensitive and not empty. What differs only in case from an earlier column gets
// a name that nobody writes; see used.
func uniqueName(taken map[string]bool, name string, i int) string {
	if name == "" || taken[strings.ToLower(name)] {
		name = fmt.Sprintf("%s (column %d)", name, i+1)
	}
	taken[strings.ToLower(name)] = true
	return name
}

// scanOf finds the scan again by what bind left.
func scanOf(bindData unsafe.Pointer) *scan {
	return cgo.Handle(*(*C.int64_t)(bindData)).Value().(*scan)
}

//export rpipeScanInit
func rpipeScanInit(info unsafe.Pointer) {
	init := b.InitInfo{Ptr: info}
	fail := func(message string) { b.InitSetError(init, message) }
	defer guard(fail)
	s := scanOf(b.InitGetBindData(init))
	b.InitSetMaxThreads(init, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx == nil:
		fail("this input is not being run")
		return
	case s.begun:
		s.err = fmt.Errorf("the query reads %s twice, and a stream can be read once only", s.name)
		fail(s.err.Error())
		return
	}
	s.begun = true
	for i := range b.InitGetColumnCount(init) {
		s.used = append(s.used, int(b.InitGetColumnIndex(init, i)))
	}
	s.cur, s.row, s.rows = nil, 0, 0
	s.views = make([]view, len(s.used))
}

//export rpipeScanFill
func rpipeScanFill(info, out unsafe.Pointer) {
	function := b.FunctionInfo{Ptr: info}
	chunk := b.DataChunk{Ptr: out}
	s := scanOf(b.FunctionGetBindData(function))
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(err error) {
		if s.ctx.Err() == nil { // else the query is over, and this is not why
			s.err = err
		}
		b.FunctionSetError(function, err.Error())
	}
	defer guard(func(message string) { fail(errors.New(message)) })
	if s.err != nil {
		fail(s.err)
		return
	}
	n, err := s.fill(chunk)
	if err != nil {
		fail(err)
		return
	}
	b.DataChunkSetSize(chunk, b.IdxT(n))
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

func logicalType(f arrow.Field) b.LogicalType {
	id, list, _ := inType(f)
	t := b.CreateLogicalType(id)
	if !list {
		return t
	}
	defer b.DestroyLogicalType(&t)
	return b.CreateListType(t)
}
