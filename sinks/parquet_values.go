package sinks

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"
)

// valuesOf appends rows [i, j) of an array as Parquet values of an optional
// column: a null has definition level 0 and a value 1.
func valuesOf(dst []parquet.Value, a arrow.Array, i, j, column int) []parquet.Value {
	if l, ok := a.(*array.List); ok {
		return listValues(dst, l, i, j, column)
	}
	return leafValues(dst, a, i, j, column, 1)
}

// leafValues appends values at definition level def and nulls at def-1.
func leafValues(dst []parquet.Value, a arrow.Array, i, j, column, def int) []parquet.Value {
	null := parquet.NullValue().Level(0, def-1, column)
	nulls := a.NullN() > 0
	switch a := a.(type) {
	case *array.Boolean:
		for k := i; k < j; k++ {
			if nulls && a.IsNull(k) {
				dst = append(dst, null)
			} else {
				dst = append(dst, parquet.BooleanValue(a.Value(k)).Level(0, def, column))
			}
		}
	case *array.Int32:
		return fixedValues(dst, a, a.Int32Values()[i:j], i, parquet.Int32Value, null, def, column)
	case *array.Date32:
		return fixedValues(dst, a, a.Date32Values()[i:j], i, func(v arrow.Date32) parquet.Value { return parquet.Int32Value(int32(v)) }, null, def, column)
	case *array.Int64:
		return fixedValues(dst, a, a.Int64Values()[i:j], i, parquet.Int64Value, null, def, column)
	case *array.Timestamp:
		return fixedValues(dst, a, a.TimestampValues()[i:j], i, func(v arrow.Timestamp) parquet.Value { return parquet.Int64Value(int64(v)) }, null, def, column)
	case *array.Float64:
		return fixedValues(dst, a, a.Float64Values()[i:j], i, parquet.DoubleValue, null, def, column)
	case *array.String:
		return bytesValues(dst, a, a.ValueOffsets(), a.ValueBytes(), i, j, null, def, column)
	case *array.Binary:
		return bytesValues(dst, a, a.ValueOffsets(), a.ValueBytes(), i, j, null, def, column)
	case *array.Dictionary:
		return factorValues(dst, a, i, j, null, def, column)
	default:
		panic(fmt.Sprintf("sinks: no Parquet values of %T", a)) // parquetLeaf has refused it
	}
	return dst
}

func fixedValues[T any](dst []parquet.Value, a arrow.Array, values []T, i int, value func(T) parquet.Value, null parquet.Value, def, column int) []parquet.Value {
	if a.NullN() == 0 {
		for _, v := range values {
			dst = append(dst, value(v).Level(0, def, column))
		}
		return dst
	}
	for k, v := range values {
		if a.IsNull(i + k) {
			dst = append(dst, null)
		} else {
			dst = append(dst, value(v).Level(0, def, column))
		}
	}
	return dst
}

// bytesValues makes values that point into the array. Its offsets count from
// the array's whole memory, and data begins at the first of them.
func bytesValues(dst []parquet.Value, a arrow.Array, offsets []int32, data []byte, i, j int, null parquet.Value, def, column int) []parquet.Value {
	if a.Len() == 0 {
		return dst
	}
	base := offsets[0]
	nulls := a.NullN() > 0
	for k := i; k < j; k++ {
		if nulls && a.IsNull(k) {
			dst = append(dst, null)
		} else {
			dst = append(dst, parquet.ByteArrayValue(data[offsets[k]-base:offsets[k+1]-base]).Level(0, def, column))
		}
	}
	return dst
}

func factorValues(dst []parquet.Value, a *array.Dictionary, i, j int, null parquet.Value, def, column int) []parquet.Value {
	levels := a.Dictionary().(*array.String)
	known := make([]parquet.Value, levels.Len())
	for k := range known {
		if levels.IsNull(k) {
			known[k] = null
		} else {
			v := levels.Value(k)
			known[k] = parquet.ByteArrayValue([]byte(v)).Level(0, def, column)
		}
	}
	codes := a.Indices().(*array.Int32).Int32Values()
	nulls := a.NullN() > 0
	for k := i; k < j; k++ {
		if nulls && a.IsNull(k) {
			dst = append(dst, null)
		} else {
			dst = append(dst, known[codes[k]])
		}
	}
	return dst
}

// listValues writes the three levels of a list: a null list has definition
// level 0, an empty one 1, a null element 2, an element 3; the elements after a
// row's first have repetition level 1.
func listValues(dst []parquet.Value, a *array.List, i, j, column int) []parquet.Value {
	child := a.ListValues()
	for k := i; k < j; k++ {
		if a.IsNull(k) {
			dst = append(dst, parquet.NullValue().Level(0, 0, column))
			continue
		}
		from, to := a.ValueOffsets(k)
		if from == to {
			dst = append(dst, parquet.NullValue().Level(0, 1, column))
			continue
		}
		at := len(dst)
		dst = leafValues(dst, child, int(from), int(to), column, 3)
		for n := at + 1; n < len(dst); n++ {
			dst[n] = dst[n].Level(1, dst[n].DefinitionLevel(), column)
		}
	}
	return dst
}
