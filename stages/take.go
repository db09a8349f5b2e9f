package stages

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/frame"
)

// takeRows is the given rows of f, which are in rising order, with the same
// schema. Factors keep all their levels.
func takeRows(f frame.Frame, rows []int32) (frame.Frame, error) {
	if len(rows) == int(f.NumRows()) {
		return f, nil
	}
	columns := make([]arrow.Array, f.NumCols())
	for i := range columns {
		d, err := take(f.Column(i), rows)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.ColumnName(i), err)
		}
		columns[i] = array.MakeFromData(d)
	}
	return array.NewRecordBatch(f.Schema(), columns, int64(len(rows))), nil
}

// take gathers rows of one array.
func take(a arrow.Array, rows []int32) (arrow.ArrayData, error) {
	d := a.Data()
	valid, nulls := takeValid(a, rows)
	buffers := []*memory.Buffer{valid}
	var children []arrow.ArrayData
	switch a := a.(type) {
	case *array.Boolean:
		buffers = append(buffers, memory.NewBufferBytes(takeBits(d.Buffers()[1].Bytes(), d.Offset(), rows)))
	case *array.Int32:
		buffers = append(buffers, takeValues(a.Int32Values(), rows))
	case *array.Date32:
		buffers = append(buffers, takeValues(a.Date32Values(), rows))
	case *array.Int64:
		buffers = append(buffers, takeValues(a.Int64Values(), rows))
	case *array.Timestamp:
		buffers = append(buffers, takeValues(a.TimestampValues(), rows))
	case *array.Float64:
		buffers = append(buffers, takeValues(a.Float64Values(), rows))
	case *array.String:
		buffers = append(buffers, takeBytes(a.ValueOffsets(), d.Buffers()[2], rows)...)
	case *array.Binary:
		buffers = append(buffers, takeBytes(a.ValueOffsets(), d.Buffers()[2], rows)...)
	case *array.Dictionary:
		buffers = append(buffers, takeValues(a.Indices().(*array.Int32).Int32Values(), rows))
		return array.NewDataWithDictionary(a.DataType(), len(rows), buffers, nulls, 0, a.Dictionary().Data().(*array.Data)), nil
	case *array.List:
		ends, elements := takeEnds(a, rows)
		child, err := take(a.ListValues(), elements)
		if err != nil {
			return nil, err
		}
		buffers = append(buffers, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends)))
		children = append(children, child)
	default:
		return nil, fmt.Errorf("is of type %s, which filter cannot take apart", a.DataType())
	}
	return array.NewData(a.DataType(), len(rows), buffers, children, nulls, 0), nil
}

func takeValid(a arrow.Array, rows []int32) (valid *memory.Buffer, nulls int) {
	if a.NullN() == 0 {
		return nil, 0
	}
	bitmap := takeBits(a.NullBitmapBytes(), a.Data().Offset(), rows)
	nulls = len(rows) - bitutil.CountSetBits(bitmap, 0, len(rows))
	if nulls == 0 {
		return nil, 0
	}
	return memory.NewBufferBytes(bitmap), nulls
}

func takeBits(bitmap []byte, offset int, rows []int32) []byte {
	out := make([]byte, (len(rows)+7)/8)
	for i, r := range rows {
		at := offset + int(r)
		out[i>>3] |= bitmap[at>>3] >> (at & 7) & 1 << (i & 7)
	}
	return out
}

func takeValues[T arrow.FixedWidthType](values []T, rows []int32) *memory.Buffer {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return memory.NewBufferBytes(arrow.GetBytes(out))
}

// takeBytes gathers text; the result is smaller than a column that exists, so
// its ends fit.
func takeBytes(ends []int32, data *memory.Buffer, rows []int32) []*memory.Buffer {
	size := 0
	for _, r := range rows {
		size += int(ends[r+1] - ends[r])
	}
	outEnds := make([]int32, len(rows)+1)
	out := make([]byte, 0, size)
	for i, r := range rows {
		if from, to := ends[r], ends[r+1]; from < to {
			out = append(out, data.Bytes()[from:to]...)
		}
		outEnds[i+1] = int32(len(out))
	}
	return []*memory.Buffer{memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(outEnds)), memory.NewBufferBytes(out)}
}

// takeEnds are the ends of the rows' lists, and the numbers of their elements.
func takeEnds(a *array.List, rows []int32) (ends, elements []int32) {
	offsets := a.Offsets()[a.Offset():]
	ends = make([]int32, len(rows)+1)
	for i, r := range rows {
		for e := offsets[r]; e < offsets[r+1]; e++ {
			elements = append(elements, e)
		}
		ends[i+1] = int32(len(elements))
	}
	return ends, elements
}
