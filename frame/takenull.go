package frame

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// NoRow stands for no row in TakeOrNull.
const NoRow = -1

// TakeOrNull is Take that makes a row of nulls where the number is NoRow.
func TakeOrNull(f Frame, rows []int32) (Frame, error) {
	none := false
	for _, r := range rows {
		if none = r < 0; none {
			break
		}
	}
	if !none {
		return Take(f, rows)
	}
	cols := make([]arrow.Array, f.NumCols())
	for i := range cols {
		a, err := takeOrNull(f.Schema().Field(i), f.Column(i), rows)
		if err != nil {
			return nil, fmt.Errorf("take rows: %w", err)
		}
		cols[i] = a
	}
	return New(f.Schema(), cols, len(rows)), nil
}

func takeOrNull(f arrow.Field, a arrow.Array, rows []int32) (arrow.Array, error) {
	if a.Len() == 0 {
		return nullArray(f, len(rows)), nil
	}
	var values *memory.Buffer
	switch a := a.(type) {
	case *array.Int32:
		values = valuesOrZero(a.Int32Values(), rows)
	case *array.Date32:
		values = valuesOrZero(arrow.Int32Traits.CastFromBytes(arrow.Date32Traits.CastToBytes(a.Date32Values())), rows)
	case *array.Int64:
		values = valuesOrZero(a.Int64Values(), rows)
	case *array.Timestamp:
		values = valuesOrZero(arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues())), rows)
	case *array.Float64:
		values = valuesOrZero(a.Float64Values(), rows)
	case *array.String:
		return textOrNull(a, a.ValueOffsets(), rows)
	case *array.Binary:
		return textOrNull(a, a.ValueOffsets(), rows)
	case *array.Dictionary:
		valid := validOrNot(a, rows)
		return factorArray(a.DataType(), len(rows), []*memory.Buffer{buffer(valid), valuesOrZero(factorCodes(a), rows)},
			nullCount(valid, len(rows)), a.Dictionary()), nil
	default:
		return takeOneByOne(f, a, rows)
	}
	valid := validOrNot(a, rows)
	return array.MakeFromData(array.NewData(a.DataType(), len(rows), []*memory.Buffer{buffer(valid), values}, nil,
		nullCount(valid, len(rows)), 0)), nil
}

func valuesOrZero[T int32 | int64 | float64](v []T, rows []int32) *memory.Buffer {
	out := make([]T, len(rows))
	for i, r := range rows {
		if r >= 0 {
			out[i] = v[r]
		}
	}
	return bytesOf(out)
}

// validOrNot is the validity of a's rows, of which those that are none are not.
func validOrNot(a arrow.Array, rows []int32) []byte {
	valid := make([]byte, (len(rows)+7)/8)
	if a.NullN() == 0 {
		for i, r := range rows {
			valid[i>>3] |= byte(^uint32(r)>>31) << (i & 7)
		}
		return valid
	}
	bitmap, offset := a.NullBitmapBytes(), a.Data().Offset()
	for i, r := range rows {
		if r >= 0 {
			at := offset + int(r)
			valid[i>>3] |= bitmap[at>>3] >> (at & 7) & 1 << (i & 7)
		}
	}
	return valid
}

func textOrNull(a arrow.Array, ends []int32, rows []int32) (arrow.Array, error) {
	data := textOf(a)
	size := 0
	for _, r := range rows {
		if r >= 0 {
			size += int(ends[r+1] - ends[r])
		}
	}
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("%d rows have %d bytes of text, more than 2 GiB", len(rows), size)
	}
	text, out := gatherText(data, ends, rows, size)
	valid := validOrNot(a, rows)
	buffers := []*memory.Buffer{buffer(valid), bytesOf(out), memory.NewBufferBytes(text)}
	return array.MakeFromData(array.NewData(a.DataType(), len(rows), buffers, nil, nullCount(valid, len(rows)), 0)), nil
}
