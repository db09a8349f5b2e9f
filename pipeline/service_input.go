package pipeline

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// InputError says that a request's rows are not such as the pipeline takes.
type InputError struct {
	TooMany bool // they are more than a request may have
	Err     error
}

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// take makes a request's rows those that the source would have read: its columns
// in its order, each with its type, where no value is lost by that. A column that
// the request does not have is missing in all rows; one that the source does not
// have is refused, so that no slip in a name goes unnoticed.
func (s *Service) take(rows frame.Frame) (frame.Frame, error) {
	if n := s.o.MaxRows; n > 0 && rows.NumRows() > int64(n) {
		return nil, &InputError{TooMany: true, Err: fmt.Errorf("%d rows, and a request may have %d", rows.NumRows(), n)}
	}
	if s.input != nil {
		var err error
		if rows, err = conformed(rows, s.input); err != nil {
			return nil, &InputError{Err: err}
		}
	}
	rows, err := stages.Numbered(rows)
	if err != nil {
		return nil, &InputError{Err: err}
	}
	return rows, nil
}

func conformed(rows frame.Frame, want *frame.Schema) (frame.Frame, error) {
	have := rows.Schema()
	if have.Equal(want) {
		return rows, nil
	}
	names := make([]string, want.NumFields())
	for i, f := range want.Fields() {
		names[i] = f.Name
	}
	for _, f := range have.Fields() {
		if !want.HasField(f.Name) {
			return nil, fmt.Errorf("there is no column %q; %s", f.Name, configs.DidYouMean(f.Name, names))
		}
	}
	n := int(rows.NumRows())
	fields, columns := have.Fields(), append([]arrow.Array(nil), rows.Columns()...)
	for _, f := range want.Fields() {
		if !have.HasField(f.Name) {
			f.Nullable = true
			fields, columns = append(fields, f), append(columns, array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, n))
		}
	}
	rows, err := frame.Conform(frame.New(arrow.NewSchema(fields, nil), columns, n), want)
	var conflict *frame.ConflictError
	if errors.As(err, &conflict) {
		plain := *conflict
		plain.Hint = "" // it is about what R returns
		if plain.Row < 0 && plain.Have != "" && plain.Want != "" {
			return nil, fmt.Errorf("column %q is %s, and %s is wanted", plain.Column, plain.Have, plain.Want)
		}
		return nil, &plain
	}
	return rows, err
}
