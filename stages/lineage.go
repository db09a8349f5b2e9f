package stages

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/frame"
)

// lineage is the column by which rows of a request carry their numbers through
// stages that drop, multiply and reject rows. Neither SQL nor R sees it.
const lineage = ".rpipe_row"

// NoRow is the number of a row that no single row of the request has made.
const NoRow = -1

// Numbered numbers the rows of a request, from 0, for WithoutNumbers to find
// again behind the stages.
func Numbered(f frame.Frame) (frame.Frame, error) {
	if f.Schema().HasField(lineage) {
		return nil, fmt.Errorf("a column cannot be called %s: it is rpipe's own", lineage)
	}
	numbers := make([]int, f.NumRows())
	for i := range numbers {
		numbers[i] = i
	}
	return withNumbers(f, numbers), nil
}

// WithoutNumbers takes the numbers off again. They are nil where f has none, and
// NoRow where a row is of several, or of nobody knows which.
func WithoutNumbers(f frame.Frame) (frame.Frame, []int) { return plain(f), numbersOf(f) }

// plain is f as SQL and R see it.
func plain(f frame.Frame) frame.Frame {
	at := f.Schema().FieldIndices(lineage)
	if len(at) == 0 {
		return f
	}
	fields, columns := f.Schema().Fields(), append([]arrow.Array(nil), f.Columns()...)
	fields = append(fields[:at[0]:at[0]], fields[at[0]+1:]...)
	columns = append(columns[:at[0]], columns[at[0]+1:]...)
	m := f.Schema().Metadata()
	return frame.New(arrow.NewSchema(fields, &m), columns, int(f.NumRows()))
}

func numbersOf(f frame.Frame) []int {
	a, _, ok := frame.Lookup(f, lineage)
	if !ok {
		return nil
	}
	column := a.(*array.Int32)
	numbers := make([]int, column.Len())
	for i := range numbers {
		if numbers[i] = NoRow; !column.IsNull(i) {
			numbers[i] = int(column.Value(i))
		}
	}
	return numbers
}

// withNumbers puts numbers beside the rows of f; nil puts none.
func withNumbers(f frame.Frame, numbers []int) frame.Frame {
	if numbers == nil {
		return f
	}
	b := array.NewInt32Builder(memory.DefaultAllocator)
	b.Reserve(len(numbers))
	for _, n := range numbers {
		if n == NoRow {
			b.AppendNull()
		} else {
			b.Append(int32(n))
		}
	}
	m := f.Schema().Metadata()
	fields := append(f.Schema().Fields(), arrow.Field{Name: lineage, Type: arrow.PrimitiveTypes.Int32, Nullable: true})
	columns := append(append([]arrow.Array(nil), f.Columns()...), b.NewArray())
	return frame.New(arrow.NewSchema(fields, &m), columns, int(f.NumRows()))
}

// madeOf are the numbers of n rows that were made of the rows [from, to) of in:
// theirs, where each made one; that of the only one that there was; else NoRow.
func madeOf(in frame.Frame, from, to, n int, each bool) []int {
	numbers := numbersOf(in)
	if numbers == nil {
		return nil
	}
	numbers = numbers[from:to]
	if each && len(numbers) == n {
		return numbers
	}
	only := NoRow
	for i, k := range numbers {
		if i > 0 && k != only {
			only = NoRow
			break
		}
		only = k
	}
	made := make([]int, n)
	for i := range made {
		made[i] = only
	}
	return made
}
