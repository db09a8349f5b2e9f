package predict

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

// function is an R function of rows.
type function struct {
	name    string
	options frame.ROptions
	returns *frame.Schema // nil for what R returns
	timeout time.Duration
}

// request asks R for rows of b.
func (f *function) request(b *batch, from, to int) (*rpool.Request, error) {
	rows, err := b.slice(from, to)
	if err != nil {
		return nil, err
	}
	// list(fun, list(rows)). A data.frame has symbols, so it stands last.
	e := rdata.Encoder{Buf: make([]byte, 0, 256+2*frame.Bytes(rows))}
	e.VectorHead(rdata.KindList, 2, false, false)
	e.Strs(f.name)
	e.VectorHead(rdata.KindList, 1, false, false)
	if err := e.Err(); err != nil {
		return nil, fmt.Errorf("function name %q: %w", f.name, err)
	}
	data, err := frame.AppendR(e.Buf, rows, f.options)
	if err != nil {
		return nil, err
	}
	label := fmt.Sprintf("%s (%d rows of %d requests)", f.name, to-from, len(b.calls))
	return &rpool.Request{Kind: rpool.Call, Data: data, Timeout: f.timeout, Trace: &b.trace, Label: label}, nil
}

// results are the rows that R returned for so many rows of the given columns.
func (f *function) results(item []byte, rows int, given *frame.Schema) (frame.Frame, error) {
	v, err := rdata.UnmarshalItem(item, nil)
	if err != nil {
		return nil, &resultError{f.name, fmt.Errorf("returned what cannot be read: %w", err)}
	}
	table, err := f.table(v)
	if err != nil {
		return nil, &resultError{f.name, err}
	}
	out, err := frame.FromValue(table)
	if err != nil {
		return nil, &resultError{f.name, fmt.Errorf("returned what cannot be used: %w", err)}
	}
	if out.NumCols() == 0 {
		return nil, &resultError{f.name, errors.New("returned a data.frame without columns")}
	}
	if n := int(out.NumRows()); n != rows {
		return nil, &resultError{f.name, fmt.Errorf("returned %d results for %d rows; return one for each row, in their order", n, rows)}
	}
	out = frame.Restore(out, given)
	if f.returns != nil {
		if out, err = frame.Conform(out, f.returns); err != nil {
			return nil, &resultError{f.name, fmt.Errorf("returned other columns than returns: declares: %w", err)}
		}
	}
	return out, nil
}

// table makes a data.frame of what a function returned: of a vector one column, of
// a matrix one for each of its own.
func (f *function) table(v rdata.Value) (*rdata.List, error) {
	if rdata.Inherits(v, "data.frame") {
		if l, ok := v.(*rdata.List); ok {
			return l, nil
		}
	}
	switch v := v.(type) {
	case *rdata.Logical, *rdata.Integer, *rdata.Double, *rdata.Character:
		if dim, ok := v.Attributes().Get("dim").(*rdata.Integer); ok {
			if len(dim.Values) == 2 {
				return f.matrix(v, int(dim.Values[0]), int(dim.Values[1]))
			}
			if len(dim.Values) > 2 {
				return nil, fmt.Errorf("returned an array of %d dimensions; return a data.frame", len(dim.Values))
			}
		}
		return rdata.DataFrame([]string{f.column(0, 1, nil)}, []rdata.Value{bare(v)}), nil
	case rdata.Null:
		return nil, errors.New("returned NULL; return a data.frame, or a vector with one element for each row")
	case *rdata.List:
		return nil, errors.New("returned a list; return a data.frame, or a vector with one element for each row")
	}
	return nil, errors.New("returned neither a data.frame nor a vector")
}

// matrix takes a matrix of numbers apart into its columns.
func (f *function) matrix(v rdata.Value, rows, columns int) (*rdata.List, error) {
	var given *rdata.Character
	if names, ok := v.Attributes().Get("dimnames").(*rdata.List); ok && len(names.Values) == 2 {
		given, _ = names.Values[1].(*rdata.Character)
	}
	if rows < 0 || columns < 0 || v.Len() != rows*columns {
		return nil, errors.New("returned a matrix whose dimensions are not those of its values")
	}
	names := make([]string, columns)
	cols := make([]rdata.Value, columns)
	for k := range cols {
		names[k] = f.column(k, columns, given)
		from, to := k*rows, (k+1)*rows
		switch v := v.(type) {
		case *rdata.Logical:
			cols[k] = &rdata.Logical{Values: v.Values[from:to]}
		case *rdata.Integer:
			cols[k] = &rdata.Integer{Values: v.Values[from:to]}
		case *rdata.Double:
			cols[k] = &rdata.Double{Values: v.Values[from:to]}
		case *rdata.Character:
			part := rdata.NewCharacter(nil)
			for i := from; i < to; i++ {
				if s, ok := v.At(i); ok {
					part.Append(s)
				} else {
					part.AppendNA()
				}
			}
			cols[k] = part
		}
	}
	if columns == 0 {
		return nil, errors.New("returned a matrix without columns")
	}
	return rdata.DataFrame(names, cols), nil
}

// column names column k of a result that is no data.frame: as R named it, else as
// returns does, else prediction.
func (f *function) column(k, columns int, given *rdata.Character) string {
	if given != nil && k < given.Len() {
		if name, ok := given.At(k); ok && name != "" {
			return name
		}
	}
	if f.returns != nil && f.returns.NumFields() == columns {
		return f.returns.Field(k).Name
	}
	if columns == 1 {
		return "prediction"
	}
	return fmt.Sprintf("prediction_%d", k+1)
}

// bare is a vector without names, which predict() gives its results.
func bare(v rdata.Value) rdata.Value {
	strip := func(as rdata.Attributes) rdata.Attributes {
		return slices.DeleteFunc(slices.Clone(as), func(a rdata.Attribute) bool {
			return a.Name == "names" || a.Name == "dim" || a.Name == "dimnames"
		})
	}
	switch v := v.(type) {
	case *rdata.Logical:
		return &rdata.Logical{Values: v.Values, Attrs: strip(v.Attrs)}
	case *rdata.Integer:
		return &rdata.Integer{Values: v.Values, Attrs: strip(v.Attrs)}
	case *rdata.Double:
		return &rdata.Double{Values: v.Values, Attrs: strip(v.Attrs)}
	case *rdata.Character:
		return &rdata.Character{Offsets: v.Offsets, Data: v.Data, Missing: v.Missing, Attrs: strip(v.Attrs)}
	}
	return v
}

// agreed is one frame of several that R returned for parts of a request.
func agreed(frames []frame.Frame) (frame.Frame, error) {
	s := frames[0].Schema()
	var err error
	for _, f := range frames[1:] {
		if s, err = frame.Unify(s, f.Schema()); err != nil {
			return nil, err
		}
	}
	for i, f := range frames {
		if f.Schema() == s {
			continue
		}
		if frames[i], err = frame.Conform(f, s); err != nil {
			return nil, err
		}
	}
	return frame.Concat(frames...)
}
