package sinks

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"
)

// Values carry their levels, which say whether something is there. In an
// optional column a null has definition level 0 and a value 1. The column's
// number in a value is not read by a ColumnWriter, so it is left out; setting
// the level in place rather than through Value.Level saves a sixth of the time.

// valuesOf appends rows [i, j) of an array as the values of an optional column.
func valuesOf(dst []parquet.Value, a arrow.Array, i, j int) []parquet.Value {
	if l, ok := a.(*array.List); ok {
		return listValues(dst, l, i, j)
	}
	return leafValues(dst, a, i, j, 1)
}

// leafValues appends values at definition level def and nulls at def-1.
func leafValues(dst []parquet.Value, a arrow.Array, i, j int, def uint8) []parquet.Value {
	at := len(dst)
	dst = slices.Grow(dst, j-i)[:at+j-i]
	out := dst[at:]
	switch a := a.(type) {
	case *array.Boolean:
		for k := range out {
			out[k] = parquet.BooleanValue(a.Value(i + k))
			out[k].SetDefinitionLevel(int(def))
		}
	case *array.Int32:
		int32Values(out, a.Int32Values()[i:j], def)
	case *array.Date32:
		int32Values(out, a.Date32Values()[i:j], def)
	case *array.Int64:
		int64Values(out, a.Int64Values()[i:j], def)
	case *array.Timestamp:
		int64Values(out, a.TimestampValues()[i:j], def)
	case *array.Float64:
		for k, v := range a.Float64Values()[i:j] {
			out[k] = parquet.DoubleValue(v)
			out[k].SetDefinitionLevel(int(def))
		}
	case *array.String:
		bytesValues(out, a.ValueOffsets(), a.ValueBytes(), i, def)
	case *array.Binary:
		bytesValues(out, a.ValueOffsets(), a.ValueBytes(), i, def)
	case *array.Dictionary:
		factorValues(out, a, i, def)
	default:
		panic(fmt.Sprintf("sinks: no Parquet values of %T", a)) // parquetLeaf has refused it
	}
	if a.NullN() > 0 {
		for k := range out {
			if a.IsNull(i + k) {
				out[k] = parquet.Value{}
				out[k].SetDefinitionLevel(int(def - 1))
			}
		}
	}
	return dst
}

func int32Values[T ~int32](out []parquet.Value, values []T, def uint8) {
	for k, v := range values {
		out[k] = parquet.Int32Value(int32(v))
		out[k].SetDefinitionLevel(int(def))
	}
}

func int64Values[T ~int64](out []parquet.Value, values []T, def uint8) {
	for k, v := range values {
		out[k] = parquet.Int64Value(int64(v))
		out[k].SetDefinitionLevel(int(def))
	}
}

// bytesValues makes values that point into the array. Its offsets count from
// the array's whole memory, and data begins at the first of them.
func bytesValues(out []parquet.Value, offsets []int32, data []byte, i int, def uint8) {
	if len(out) == 0 {
		return
	}
	base := offsets[0]
	for k := range out {
		out[k] = parquet.ByteArrayValue(data[offsets[i+k]-base : offsets[i+k+1]-base])
		out[k].SetDefinitionLevel(int(def))
	}
}

func factorValues(out []parquet.Value, a *array.Dictionary, i int, def uint8) {
	levels := a.Dictionary().(*array.String)
	known := make([]parquet.Value, levels.Len())
	if levels.Len() > 0 {
		bytesValues(known, levels.ValueOffsets(), levels.ValueBytes(), 0, def)
	}
	codes := a.Indices().(*array.Int32).Int32Values()
	for k := range out {
		if a.IsValid(i + k) { // the code of a null may be anything
			out[k] = known[codes[i+k]]
		}
	}
}

// listValues writes the three levels of a list: a null list has definition
// level 0, an empty one 1, a null element 2, an element 3; the elements after a
// row's first have repetition level 1.
func listValues(dst []parquet.Value, a *array.List, i, j int) []parquet.Value {
	child := a.ListValues()
	for k := i; k < j; k++ {
		if a.IsNull(k) {
			dst = append(dst, parquet.Value{})
			continue
		}
		from, to := a.ValueOffsets(k)
		at := len(dst)
		if from == to {
			dst = append(dst, parquet.Value{})
			dst[at].SetDefinitionLevel(1)
			continue
		}
		dst = leafValues(dst, child, int(from), int(to), 3)
		for n := at + 1; n < len(dst); n++ {
			dst[n].SetRepetitionLevel(1)
		}
	}
	return dst
}
