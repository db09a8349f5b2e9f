//go:build cgo

package duckdb

// #include <stdlib.h>
// #include "copy.h"
import "C"

import (
	"fmt"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	b "github.com/duckdb/duckdb-go-bindings"
)

// view is a column of a frame as raw memory, ready to be copied to DuckDB.
type view struct {
	offset int    // of row 0 in the buffers that bits are in
	valid  []byte // bitmap; nil where nothing is null

	fixed []byte  // values of fixed width, from row 0 on
	width int     // of one of them
	bits  []byte  // bool
	ends  []int32 // string, binary, list: from row 0 on, one more than rows
	data  []byte  // string, binary, and the levels of a factor
	text  bool    // data must be UTF-8
	codes []int32 // factor, from row 0 on; ends and data are its levels'
	child *view   // list
}

func viewOf(a arrow.Array) view {
	d := a.Data()
	v := view{offset: d.Offset()}
	if a.NullN() > 0 {
		v.valid = a.NullBitmapBytes()
	}
	n := a.Len()
	switch a := a.(type) {
	case *array.Boolean:
		v.bits = d.Buffers()[1].Bytes()
	case *array.Int32:
		v.fixed, v.width = rawBytes(a.Int32Values()), 4
	case *array.Date32:
		v.fixed, v.width = rawBytes(a.Date32Values()), 4
	case *array.Int64:
		v.fixed, v.width = rawBytes(a.Int64Values()), 8
	case *array.Timestamp:
		v.fixed, v.width = rawBytes(a.TimestampValues()), 8
	case *array.Float64:
		v.fixed, v.width = rawBytes(a.Float64Values()), 8
	case *array.String:
		v.ends, v.data, v.text = a.ValueOffsets(), bufferBytes(d, 2), true
	case *array.Binary:
		v.ends, v.data = a.ValueOffsets(), bufferBytes(d, 2)
	case *array.Dictionary:
		levels := a.Dictionary().(*array.String)
		v.ends, v.data, v.text = levels.ValueOffsets(), bufferBytes(levels.Data(), 2), true
		v.codes = a.Indices().(*array.Int32).Int32Values()
	case *array.List:
		child := viewOf(a.ListValues())
		v.child = &child
		if n > 0 {
			v.ends = a.Offsets()[d.Offset() : d.Offset()+n+1]
		}
	}
	if len(v.ends) == 0 { // an empty array may come without its one offset
		v.ends = []int32{0}
	}
	return v
}

func bufferBytes(d arrow.ArrayData, i int) []byte {
	if buf := d.Buffers()[i]; buf != nil {
		return buf.Bytes()
	}
	return nil
}

func rawBytes[T any](v []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(zero)))
}

// put copies rows [from, from+n) to the first n of the vector, which has room.
func (v *view) put(vector b.Vector, from, n int) error {
	if n == 0 {
		return nil
	}
	if v.valid != nil {
		b.VectorEnsureValidityWritable(vector)
		C.rpipe_put_validity((*C.uint64_t)(b.VectorGetValidity(vector)), cbytes(v.valid), C.int64_t(v.offset+from), C.int64_t(n))
	}
	switch {
	case v.fixed != nil:
		out := unsafe.Slice((*byte)(b.VectorGetData(vector)), n*v.width)
		copy(out, v.fixed[from*v.width:(from+n)*v.width])
	case v.bits != nil:
		C.rpipe_put_bools((*C.uint8_t)(b.VectorGetData(vector)), cbytes(v.bits), C.int64_t(v.offset+from), C.int64_t(n))
	case v.child != nil:
		return v.putLists(vector, from, n)
	case v.codes != nil:
		return v.putLevels(vector, from, n)
	default:
		return v.putStrings(vector, from, n)
	}
	return nil
}

func (v *view) putStrings(vector b.Vector, from, n int) error {
	if v.text {
		if err := checkText(v.data[v.ends[from]:v.ends[from+n]]); err != nil {
			return err
		}
	}
	var text C.int
	if v.text {
		text = 1
	}
	var thrown *C.char
	row := C.rpipe_put_strings(vector.Ptr, cends(v.ends[from:]), cchars(v.data),
		cbytes(v.valid), C.int64_t(v.offset+from), C.int64_t(n), text, &thrown)
	if row >= 0 {
		return notText()
	}
	return caught(row, thrown)
}

func (v *view) putLevels(vector b.Vector, from, n int) error {
	levels := len(v.ends) - 1
	if from == 0 {
		if err := checkText(v.data[v.ends[0]:v.ends[levels]]); err != nil {
			return err
		}
	}
	var thrown *C.char
	row := C.rpipe_put_levels(vector.Ptr, cends(v.codes[from:]), C.int64_t(levels), cends(v.ends), cchars(v.data),
		cbytes(v.valid), C.int64_t(v.offset+from), C.int64_t(n), &thrown)
	if row >= 0 {
		return fmt.Errorf("row %d has code %d of %d levels", from+int(row)+1, v.codes[from+int(row)], levels)
	}
	return caught(row, thrown)
}

// putLists copies the child rows that are used to the vector's child, whose
// entries then point there.
func (v *view) putLists(vector b.Vector, from, n int) error {
	first, last := v.ends[from], v.ends[from+n]
	var thrown *C.char
	if err := caught(C.rpipe_reserve_list(vector.Ptr, C.uint64_t(last-first), &thrown), thrown); err != nil {
		return err
	}
	entries := unsafe.Slice((*[2]uint64)(b.VectorGetData(vector)), n)
	for i := range entries {
		start, end := v.ends[from+i], v.ends[from+i+1]
		entries[i] = [2]uint64{uint64(start - first), uint64(end - start)}
	}
	return v.child.put(b.ListVectorGetChild(vector), int(first), int(last-first))
}

// caught is the exception that DuckDB threw, if it did.
func caught(result C.int64_t, thrown *C.char) error {
	if result != C.RPIPE_FAILED {
		return nil
	}
	defer C.free(unsafe.Pointer(thrown))
	return parseError(C.GoString(thrown))
}

// checkText makes sure of UTF-8, which some of DuckDB's functions rely on so
// much that they end the database.
func checkText(data []byte) error {
	if !utf8.Valid(data) {
		return notText()
	}
	return nil
}

func notText() error {
	return &Error{Kind: "Invalid Input", Message: "it has text that is not valid UTF-8", offset: -1}
}

func cbytes(v []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(v)) }
func cends(v []int32) *C.int32_t { return (*C.int32_t)(unsafe.SliceData(v)) }
func cchars(v []byte) *C.char    { return (*C.char)(unsafe.Pointer(unsafe.SliceData(v))) }
