package frame

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/rdata"
)

// FromR reads a headerless item that holds a data.frame (a tibble and a
// data.table are data frames too). NA becomes null, NaN stays NaN; row names of
// any sort are dropped, as are attributes and classes that the type table does
// not know: such a column comes as its base type. Nothing is shared with item.
//
// A column of nothing but logical NA is a bool column marked MetaUnknown, as
// is a list column of nothing but NULL.
//
// What frames do not hold (complex numbers, matrices, POSIXlt, data frames
// within data frames, lists of other things than vectors of one type) is a
// *ValueError that names the column and says what to do.
func FromR(item []byte) (Frame, error) { return FromRBeside(item, nil) }

// FromRBeside is FromR for what a function made of sent, a frame that
// AppendCodedR wrote: a NULL in place of a column stands for the column of sent
// with that name, which came back as it was.
func FromRBeside(item []byte, sent Frame) (Frame, error) {
	v, err := rdata.UnmarshalItem(item, nil)
	if err != nil {
		return nil, fmt.Errorf("decode from R: %w", inColumn(item, err))
	}
	f, err := fromValue(v, sent)
	if err != nil {
		return nil, fmt.Errorf("decode from R: %w", err)
	}
	return f, nil
}

// FromValue is FromR for a value that is decoded already, such as that of an
// .rds file. The frame takes over the value's memory, so v must not change any
// more.
func FromValue(v rdata.Value) (Frame, error) { return fromValue(v, nil) }

func fromValue(v rdata.Value, sent Frame) (Frame, error) {
	df, ok := v.(*rdata.List)
	if !ok || !rdata.Inherits(v, "data.frame") {
		return nil, fmt.Errorf("%s is not a data frame; return one, such as as.data.frame(x)", describe(v))
	}
	names, ok := df.Attrs.Get("names").(*rdata.Character)
	if !ok && df.Len() > 0 || ok && names.Len() != df.Len() {
		return nil, fmt.Errorf("a data frame of %d columns must have as many names", df.Len())
	}
	n, _ := rdata.Rows(df)
	if df.Attrs.Get("row.names") == nil && df.Len() > 0 {
		n = df.Values[0].Len()
	}
	fields := make([]arrow.Field, df.Len())
	cols := make([]arrow.Array, df.Len())
	for i, col := range df.Values {
		name, ok := names.At(i)
		if !ok || name == "" {
			return nil, fmt.Errorf("column %d has no name; give it one", i+1)
		}
		f, a, same := sameColumn(col, sent, name)
		if !same {
			var err error
			if f, a, err = fromVector(name, col); err != nil {
				return nil, err
			}
		}
		if a.Len() != n {
			return nil, &ValueError{Column: name, Row: -1,
				Reason: fmt.Sprintf("%d values in a data frame of %d rows", a.Len(), n)}
		}
		fields[i], cols[i] = f, a
	}
	if len(duplicateNames(fields)) > 0 {
		return nil, duplicateError(fields)
	}
	return New(arrow.NewSchema(fields, nil), cols, n), nil
}

// sameColumn is the column of sent for which a NULL stands.
func sameColumn(v rdata.Value, sent Frame, name string) (f arrow.Field, a arrow.Array, ok bool) {
	if _, null := v.(rdata.Null); !null || sent == nil {
		return f, nil, false
	}
	at := sent.Schema().FieldIndices(name)
	if len(at) != 1 {
		return f, nil, false
	}
	return sent.Schema().Field(at[0]), sent.Column(at[0]), true
}

// fromVector makes a column of an R vector.
func fromVector(name string, v rdata.Value) (arrow.Field, arrow.Array, error) {
	f := arrow.Field{Name: name, Nullable: true}
	if reason, hint := refused(v); reason != "" {
		return f, nil, &ValueError{Column: name, Row: -1, Reason: reason, Hint: hint}
	}
	switch v := v.(type) {
	case *rdata.Logical:
		return fromLogical(f, v)
	case *rdata.Integer:
		return fromInteger(f, v)
	case *rdata.Double:
		return fromDouble(f, v)
	case *rdata.Character:
		f.Type = arrow.BinaryTypes.String
		a, err := stringsFromR(name, v)
		return f, a, err
	case *rdata.List:
		if !v.Expression {
			return fromList(f, v)
		}
	}
	return f, nil, &ValueError{Column: name, Row: -1, Reason: describe(v) + " cannot be a column", Hint: "drop it or convert it"}
}

// refused says why v cannot be a column whatever its values are, and what to
// do; "" where it can.
func refused(v rdata.Value) (reason, hint string) {
	if v == nil {
		return "nothing", ""
	}
	if dim := v.Attributes().Get("dim"); dim != nil && dim.Len() > 1 {
		return describe(v) + " cannot be a column", "split it into one column for each of its columns, such as cbind(df, as.data.frame(m))"
	}
	switch {
	case rdata.Inherits(v, "POSIXlt"):
		return "POSIXlt is not supported", "convert it with as.POSIXct()"
	case rdata.Inherits(v, "data.frame"):
		return "a data frame within a data frame is not supported", "put its columns beside the others, such as cbind(df, df$inner)"
	}
	switch v.(type) {
	case *rdata.Complex:
		return "complex numbers are not supported", "split them into Re(x) and Im(x)"
	case *rdata.Raw:
		return "a raw vector is not supported", "convert it with as.integer(), or to a list of raw vectors, one a row"
	}
	return "", ""
}

// describe says what a value is, for messages.
func describe(v rdata.Value) string {
	class := rdata.Class(v)
	if dim, ok := attr(v, "dim").(*rdata.Integer); ok && dim.Len() > 1 {
		sizes := make([]string, dim.Len())
		for i, d := range dim.Values {
			sizes[i] = fmt.Sprint(d)
		}
		kind := "matrix"
		if dim.Len() > 2 {
			kind = "array"
		}
		return fmt.Sprintf("a %s %s of %s", strings.Join(sizes, " x "), kind, rdata.KindOf(v))
	}
	if len(class) > 0 {
		return "an object of class " + class[0]
	}
	switch k := rdata.KindOf(v); k {
	case rdata.KindNull:
		return "NULL"
	case rdata.KindClosure, rdata.KindBuiltin, rdata.KindSpecial:
		return "a function"
	case rdata.KindList:
		return "a list"
	case rdata.KindLogical, rdata.KindInteger, rdata.KindDouble, rdata.KindComplex, rdata.KindCharacter, rdata.KindRaw:
		return fmt.Sprintf("a vector of type %s", k)
	default:
		return fmt.Sprintf("an R object of type %s", k)
	}
}

func attr(v rdata.Value, name string) rdata.Value {
	if v == nil {
		return nil
	}
	return v.Attributes().Get(name)
}
