//go:build cgo

package duckdb

// #include "copy.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// collector puts the chunks of a result together to frames.
type collector struct {
	schema  *frame.Schema
	expect  int // rows of a frame
	columns []*column
	rows    int
}

func newCollector(schema *frame.Schema, expect int) *collector {
	return &collector{schema: schema, expect: expect}
}

// start begins a frame.
func (c *collector) start() {
	c.columns = make([]*column, c.schema.NumFields())
	for i := range c.columns {
		c.columns[i] = newColumn(c.schema.Field(i).Type, c.expect)
	}
}

// add appends a chunk.
func (c *collector) add(chunk b.DataChunk) error {
	if c.columns == nil {
		c.start()
	}
	n := int(b.DataChunkGetSize(chunk))
	for i, col := range c.columns {
		if err := col.get(b.DataChunkGetVector(chunk, b.IdxT(i)), 0, n); err != nil {
			return fmt.Errorf("column %q: %w", c.schema.Field(i).Name, err)
		}
	}
	c.rows += n
	return nil
}

// bytes is the size of the largest column, of those whose size is not bounded by the rows.
func (c *collector) bytes() (largest int) {
	for _, col := range c.columns {
		for ; col != nil; col = col.child {
			largest = max(largest, len(col.data))
		}
	}
	return largest
}

// frame hands over what was collected.
func (c *collector) frame() frame.Frame {
	if c.columns == nil {
		c.start()
	}
	arrays := make([]arrow.Array, len(c.columns))
	for i, col := range c.columns {
		arrays[i] = array.MakeFromData(col.arrayData())
	}
	f := frame.New(c.schema, arrays, c.rows)
	c.columns, c.rows = nil, 0
	return f
}

// column grows by rows of a result.
type column struct {
	kind  arrow.DataType
	width int     // of a value, in bytes; 0 for bool, text and lists
	data  []byte  // values, or the bytes of text
	ends  []int32 // text and lists
	valid []byte  // bitmap; nil while nothing is null
	rows  int
	nulls int
	child *column
}

// newColumn has room for some rows.
func newColumn(t arrow.DataType, rows int) *column {
	c := &column{kind: t}
	switch t := t.(type) {
	case *arrow.BooleanType:
		c.data = make([]byte, 0, (rows+7)/8)
	case *arrow.StringType, *arrow.BinaryType:
		c.ends = make([]int32, 1, rows+1)
	case *arrow.ListType:
		c.ends = make([]int32, 1, rows+1)
		c.child = newColumn(t.Elem(), rows)
	case arrow.FixedWidthDataType:
		c.width = t.Bytes()
		c.data = make([]byte, 0, rows*c.width)
	}
	return c
}

var errTooMuch = errors.New("holds more than 2 GiB of text or 2^31 elements in one batch: make the batches smaller")

// get appends rows [from, from+n) of a vector.
func (c *column) get(vector b.Vector, from, n int) error {
	if n == 0 {
		return nil
	}
	data := b.VectorGetData(vector)
	valid := (*C.uint64_t)(b.VectorGetValidity(vector))
	c.getValidity(valid, from, n)
	switch {
	case c.width > 0:
		c.data = append(c.data, unsafe.Slice((*byte)(data), (from+n)*c.width)[from*c.width:]...)
	case c.child != nil:
		if err := c.getLists(vector, data, from, n); err != nil {
			return err
		}
	case c.ends != nil:
		size := int(C.rpipe_string_bytes(data, valid, C.int64_t(from), C.int64_t(n)))
		if len(c.data)+size > math.MaxInt32 {
			return errTooMuch
		}
		start := len(c.data)
		c.data = grow(c.data, size)
		c.ends = grow(c.ends, n)
		C.rpipe_get_strings(cchars(c.data[start:]), cends(c.ends[c.rows:]), data, valid, C.int64_t(from), C.int64_t(n))
	default:
		c.data = grow(c.data, (c.rows+n+7)/8-len(c.data))
		C.rpipe_get_bools(cbytes(c.data), C.int64_t(c.rows), (*C.uint8_t)(data), C.int64_t(from), C.int64_t(n))
	}
	c.rows += n
	return nil
}

func (c *column) getValidity(valid *C.uint64_t, from, n int) {
	if valid == nil && c.valid == nil {
		return
	}
	if c.valid == nil {
		c.valid = make([]byte, (c.rows+7)/8)
		for i := range c.valid {
			c.valid[i] = 0xFF
		}
	}
	c.valid = grow(c.valid, (c.rows+n+7)/8-len(c.valid))
	c.nulls += int(C.rpipe_get_validity(cbytes(c.valid), C.int64_t(c.rows), valid, C.int64_t(from), C.int64_t(n)))
}

// getLists appends the elements that each row points to. As a rule they follow
// one another, and are copied at once.
func (c *column) getLists(vector b.Vector, data unsafe.Pointer, from, n int) error {
	entries := unsafe.Slice((*[2]uint64)(data), from+n)[from:]
	child := b.ListVectorGetChild(vector)
	runStart, runEnd := 0, 0
	for i, e := range entries {
		start, length := int(e[0]), int(e[1])
		if c.valid != nil && c.valid[(c.rows+i)>>3]>>((c.rows+i)&7)&1 == 0 {
			length = 0 // a null's entry is not set
		}
		if length > 0 && start != runEnd {
			if err := c.child.get(child, runStart, runEnd-runStart); err != nil {
				return err
			}
			runStart, runEnd = start, start
		}
		runEnd += length
		end := c.child.rows + runEnd - runStart
		if end > math.MaxInt32 {
			return errTooMuch
		}
		c.ends = append(c.ends, int32(end))
	}
	return c.child.get(child, runStart, runEnd-runStart)
}

func (c *column) arrayData() arrow.ArrayData {
	buffers := []*memory.Buffer{nil}
	if c.nulls > 0 {
		buffers[0] = memory.NewBufferBytes(c.valid)
	}
	var children []arrow.ArrayData
	if c.ends != nil {
		buffers = append(buffers, memory.NewBufferBytes(rawBytes(c.ends)))
	}
	if c.child != nil {
		children = append(children, c.child.arrayData())
	} else {
		buffers = append(buffers, memory.NewBufferBytes(c.data))
	}
	return array.NewData(c.kind, c.rows, buffers, children, c.nulls, 0)
}

// grow makes v n longer, if n is not negative.
func grow[T any](v []T, n int) []T {
	return append(v, make([]T, max(0, n))...) // the compiler makes no temporary slice of it
}
