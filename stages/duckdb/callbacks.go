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
	"errors"
	"fmt"
	"runtime/cgo"
	"runtime/debug"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"
)

// scanFunction is the table function that all queries read through. Its
// argument is the cgo.Handle of a scan.
const scanFunction = "rpipe_scan"

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
	b.BindSetCardinality(bind, b.IdxT(scanRows(handle)), false)
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

func logicalType(f arrow.Field) b.LogicalType {
	id, list, _ := inType(f)
	t := b.CreateLogicalType(id)
	if !list {
		return t
	}
	defer b.DestroyLogicalType(&t)
	return b.CreateListType(t)
}
