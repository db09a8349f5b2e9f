package predict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// maxArrow is how much memory the arrays of one request may take: compressed ones
// may claim any size.
const maxArrow = 1 << 30

// arrow reads the record batches of an IPC stream or file. Every value is copied
// while a panic is an error still: buffers that are too short, or offsets that lead
// out of them, come to light there.
func (r *reader) arrow(body []byte, isFile bool) (in *input, err error) {
	defer func() {
		if p := recover(); p != nil {
			in, err = nil, badRequest("Arrow: the data is damaged: %v", p)
			if errors.Is(asError(p), errArrowSize) {
				err = fault.New(http.StatusRequestEntityTooLarge, "too_large", "Arrow: the arrays take too much memory")
			}
		}
	}()
	checkArrow(body, isFile)
	next, schema, err := arrowBatches(body, isFile)
	if err != nil {
		return nil, badRequest("Arrow: %v", err)
	}
	in = &input{}
	budget := copying{left: maxArrow}
	var b *frame.Builder
	var at []int
	var good []int32
	for {
		batch, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errArrowSize) {
			panic(errArrowSize)
		}
		if err != nil {
			return nil, badRequest("Arrow: %v", err)
		}
		n := int(batch.NumRows())
		if n < 0 {
			return nil, badRequest("Arrow: a batch of %d rows", n)
		}
		if err := r.tooMany(in.rows + n); err != nil {
			return nil, err
		}
		columns := schema.NumFields()
		if r.schema != nil {
			columns = r.schema.NumFields()
		}
		budget.take(int64(n)*int64(columns), 8)
		if b == nil {
			if b, at, err = r.arrowColumns(&budget, schema, batch); err != nil {
				return nil, err
			}
		}
		for i := range n {
			if e := appendArrow(&budget, b, batch, at, i, in.rows+i); e != nil {
				in.errors = append(in.errors, e)
			} else {
				good = append(good, int32(in.rows+i))
			}
		}
		in.rows += n
	}
	if len(good) == 0 {
		return in, nil
	}
	if in.frame, err = b.Frame(); err != nil {
		return nil, badRequest("rows: %v", err)
	}
	if r.schema == nil {
		in.frame = unknown(in.frame)
	}
	if len(good) < in.rows {
		in.place = good
	}
	return in, nil
}

func asError(p any) error {
	err, _ := p.(error)
	return err
}

// arrowBatches opens a stream or file; next gives its batches until io.EOF.
func arrowBatches(body []byte, isFile bool) (next func() (arrow.RecordBatch, error), s *arrow.Schema, err error) {
	limited := ipc.WithAllocator(&limitedMemory{left: maxArrow})
	if isFile {
		f, err := ipc.NewFileReader(bytes.NewReader(body), limited)
		if err != nil {
			return nil, nil, err
		}
		at := 0
		return func() (arrow.RecordBatch, error) {
			if at >= f.NumRecords() {
				return nil, io.EOF
			}
			at++
			return f.RecordBatchAt(at - 1)
		}, f.Schema(), nil
	}
	stream, err := ipc.NewReader(bytes.NewReader(body), limited)
	if err != nil {
		return nil, nil, err
	}
	return func() (arrow.RecordBatch, error) {
		if stream.Next() {
			return stream.RecordBatch(), nil
		}
		if err := stream.Err(); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, io.EOF
	}, stream.Schema(), nil
}

// arrowColumns is where the values go, and which column of a batch each takes; -1
// for one that is left out.
func (r *reader) arrowColumns(m *copying, have *arrow.Schema, first arrow.RecordBatch) (*frame.Builder, []int, error) {
	names := columnNames(have)
	if err := distinct(names); err != nil {
		return nil, nil, err
	}
	if r.schema != nil {
		at, err := r.columns(names)
		return frame.NewBuilderSize(r.schema.Schema, int(first.NumRows())), at, err
	}
	if len(names) == 0 {
		return nil, nil, badRequest("Arrow: the rows have no columns")
	}
	columns := make([]arrow.Field, len(names))
	at := make([]int, len(names))
	for i, f := range have.Fields() {
		t, ok := frameType(f)
		if !ok {
			return nil, nil, fault.New(http.StatusUnprocessableEntity, "invalid", fmt.Sprintf("column %q is %v, which R has no type for", f.Name, f.Type))
		}
		columns[i], at[i] = m.withLevels(t, first.Column(i)), i
	}
	return frame.NewBuilderSize(arrow.NewSchema(columns, nil), int(first.NumRows())), at, nil
}

// frameType is the type of frames for a column of Arrow.
func frameType(f arrow.Field) (arrow.Field, bool) {
	out := arrow.Field{Name: f.Name, Nullable: true, Metadata: described(f.Metadata)}
	switch t := f.Type.(type) {
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Uint8Type, *arrow.Uint16Type:
		out.Type = arrow.PrimitiveTypes.Int32
	case *arrow.Uint32Type, *arrow.Uint64Type:
		out.Type = arrow.PrimitiveTypes.Int64
	case *arrow.Float32Type, *arrow.Float16Type:
		out.Type = arrow.PrimitiveTypes.Float64
	case *arrow.LargeStringType, *arrow.StringViewType:
		out.Type = arrow.BinaryTypes.String
	case *arrow.NullType:
		out.Type = arrow.FixedWidthTypes.Boolean
	case *arrow.Date64Type:
		out.Type = arrow.FixedWidthTypes.Date32
	case *arrow.TimestampType:
		out.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: t.TimeZone}
	case *arrow.DictionaryType:
		if id := t.ValueType.ID(); id != arrow.STRING && id != arrow.LARGE_STRING {
			return frameType(arrow.Field{Name: f.Name, Type: t.ValueType})
		}
		out.Type = frame.FactorType(t.Ordered)
	case *arrow.LargeListType:
		return frameType(arrow.Field{Name: f.Name, Type: arrow.ListOfField(t.ElemField())})
	case *arrow.ListType:
		elem, ok := frameType(t.ElemField())
		if !ok {
			return out, false
		}
		out.Type = frame.ListType(elem)
	default:
		out.Type = f.Type
	}
	return out, frame.KindOf(out) != frame.KindOther
}

// described are the marks that rpipe's own writers put on columns of Arrow, as far as
// a client may set them: the others speak of what rpipe itself has found out.
func described(given arrow.Metadata) arrow.Metadata {
	kept := map[string]string{}
	for _, key := range []string{frame.MetaR, frame.MetaUnits, frame.MetaTimezone, frame.MetaJSON} {
		if v, ok := given.GetValue(key); ok {
			kept[key] = v
		}
	}
	return arrow.MetadataFrom(kept)
}

// appendArrow adds row i of a batch, or says what is wrong with it.
func appendArrow(m *copying, b *frame.Builder, batch arrow.RecordBatch, at []int, i, index int) *RowError {
	n := b.Len()
	e := invalid(index)
	for k, from := range at {
		c := b.Column(k)
		if from < 0 {
			c.AppendNull()
			continue
		}
		if !m.value(c, batch.Column(from), i) {
			e.add(c.Field().Name, fmt.Sprintf("%s is not %s", shown(batch.Column(from), i), frame.TypeName(c.Field())))
		}
	}
	if len(e.Columns) == 0 {
		return nil
	}
	for k := range at {
		b.Column(k).Truncate(n)
	}
	return e
}

// shown is value i for a message. What nests is its type alone: its text has no end.
func shown(a arrow.Array, i int) string {
	t := a.DataType()
	if d, ok := t.(*arrow.DictionaryType); ok {
		t = d.ValueType
	}
	if arrow.IsNested(t.ID()) || t.ID() == arrow.BINARY || t.ID() == arrow.LARGE_BINARY {
		return a.DataType().String()
	}
	return clip(a.ValueStr(i))
}

// limitedMemory is Go's memory, up to a size.
type limitedMemory struct {
	memory.GoAllocator
	left int
}

var errArrowSize = errors.New("the arrays are too large")

func (m *limitedMemory) Allocate(size int) []byte {
	m.take(size)
	return m.GoAllocator.Allocate(size)
}

func (m *limitedMemory) Reallocate(size int, b []byte) []byte {
	m.take(size - len(b))
	return m.GoAllocator.Reallocate(size, b)
}

func (m *limitedMemory) take(size int) {
	if size > m.left {
		panic(errArrowSize)
	}
	m.left -= max(0, size)
}
