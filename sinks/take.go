package sinks

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// take gathers rows of f, in the order given. Levels of factors are shared
// with f.
func take(f frame.Frame, rows []int32) (frame.Frame, error) {
	cols := make([]arrow.Array, f.NumCols())
	for i := range cols {
		var err error
		if cols[i], err = takeArray(f.Column(i), f.Schema().Field(i), rows); err != nil {
			return nil, err
		}
	}
	return array.NewRecordBatch(f.Schema(), cols, int64(len(rows))), nil
}

func takeArray(a arrow.Array, f arrow.Field, rows []int32) (arrow.Array, error) {
	if d, ok := a.(*array.Dictionary); ok {
		codes, err := takeArray(d.Indices(), arrow.Field{Name: f.Name, Type: arrow.PrimitiveTypes.Int32, Nullable: true}, rows)
		if err != nil {
			return nil, err
		}
		return array.NewDictionaryArray(f.Type, codes, d.Dictionary()), nil
	}
	if frame.KindOf(f) == frame.KindOther {
		return nil, fmt.Errorf("column %q has type %s, which no file here can hold", f.Name, frame.TypeName(f))
	}
	c := frame.NewColumn(f, len(rows))
	for _, i := range rows {
		appendFrom(c, a, int(i))
	}
	return c.Array()
}

// appendFrom adds value i of a to a column of the same type.
func appendFrom(c *frame.Column, a arrow.Array, i int) {
	if a.IsNull(i) {
		c.AppendNull()
		return
	}
	switch a := a.(type) {
	case *array.Boolean:
		c.AppendBool(a.Value(i))
	case *array.Int32:
		c.AppendInt32(a.Value(i))
	case *array.Date32:
		c.AppendInt32(int32(a.Value(i)))
	case *array.Int64:
		c.AppendInt64(a.Value(i))
	case *array.Timestamp:
		c.AppendInt64(int64(a.Value(i)))
	case *array.Float64:
		c.AppendDouble(a.Value(i))
	case *array.String:
		c.AppendString(a.Value(i))
	case *array.Binary:
		c.AppendBytes(a.Value(i))
	case *array.List:
		from, to := a.ValueOffsets(i)
		for j := from; j < to; j++ {
			appendFrom(c.Child(), a.ListValues(), int(j))
		}
		c.AppendList()
	default:
		panic(fmt.Sprintf("sinks: take from %T", a)) // KindOf has refused it
	}
}
