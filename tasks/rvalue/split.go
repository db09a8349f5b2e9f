package rvalue

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/rdata"
)

// elementBytes is how much each element, or row, may be that a compact sequence makes.
const elementBytes = 64

// Split cuts a list, a vector or a data.frame (by columns) into its elements, as x[[i]]
// has them, each a whole stream. names is nil where there are none. Elements of a list
// are not decoded, so they may be anything; those that share an environment get a copy
// of it each. More than most elements are an error before they are made: the sequence
// 1:1e8 comes in a hundred bytes.
func Split(stream []byte, most int) (elements [][]byte, names []string, err error) {
	b, err := plain(stream)
	if err != nil {
		return nil, nil, fmt.Errorf("value of R: %w", err)
	}
	kind, err := rdata.StreamKind(b)
	if err != nil {
		return nil, nil, fmt.Errorf("value of R: %w", err)
	}
	if kind == rdata.KindList || kind == rdata.KindExpression {
		elements, attrs, err := rdata.SplitStream(b, limits)
		if err != nil {
			return nil, nil, fmt.Errorf("value of R: %w", err)
		}
		return elements, namesIn(attrs, len(elements)), few(len(elements), most)
	}
	v, err := rdata.Unmarshal(b, expanding(elementBytes*int64(most)+1<<10))
	if err != nil {
		return nil, nil, fmt.Errorf("value of R: %w", err)
	}
	if p, ok := v.(*rdata.Pairlist); ok {
		l := &rdata.List{}
		for _, c := range p.Cells {
			l.Values = append(l.Values, c.Value)
			names = append(names, c.Tag)
		}
		v = named(l, names)
	}
	if !atomic(v) && rdata.KindOf(v) != rdata.KindList {
		return nil, nil, fmt.Errorf("value of R: a list or vector was expected, not %s: use as.list() or list()", describe(v))
	}
	if err := few(v.Len(), most); err != nil {
		return nil, nil, err
	}
	elements = make([][]byte, v.Len())
	at := part(v)
	for i := range elements {
		if elements[i], err = encode(at(i)); err != nil {
			return nil, nil, fmt.Errorf("value of R: element %d: %w", i+1, err)
		}
	}
	return elements, namesIn(v.Attributes(), len(elements)), nil
}

func few(n, most int) error {
	if n > most {
		return fmt.Errorf("value of R: it has %d elements, and at most %d are taken", n, most)
	}
	return nil
}

func namesIn(as rdata.Attributes, n int) []string {
	if c, ok := as.Get("names").(*rdata.Character); ok && c.Len() == n {
		return c.Strings()
	}
	return nil
}

// Rows cuts a data.frame into its rows: lists with an element a column, each a whole
// stream. names are the row names, nil where they are numbers. More than most rows are
// an error.
func Rows(stream []byte, most int) (rows [][]byte, names []string, err error) {
	// What cells share, such as the environment of functions, counts too.
	v, err := decode(stream, expanding(max(elementBytes*int64(most), 2*MaxJSON)))
	if err != nil {
		return nil, nil, err
	}
	frame, ok := v.(*rdata.List)
	n, isFrame := rdata.Rows(v)
	if !ok || !isFrame {
		return nil, nil, fmt.Errorf("value of R: a data.frame was expected, not %s", describe(v))
	}
	keys, _ := frame.Attrs.Get("names").(*rdata.Character)
	if keys == nil || keys.Len() != len(frame.Values) {
		return nil, nil, fmt.Errorf("value of R: a data.frame of %d columns without a name for each", len(frame.Values))
	}
	columns := make([]func(i int) rdata.Value, len(frame.Values))
	for c, column := range frame.Values {
		if columns[c], err = cells(column, n); err != nil {
			return nil, nil, fmt.Errorf("value of R: column %q: %w", keys.Strings()[c], err)
		}
	}
	if err := few(n, most); err != nil {
		return nil, nil, err
	}
	rows = make([][]byte, n)
	row := &rdata.List{Values: make([]rdata.Value, len(columns)), Attrs: rdata.Attributes{{Name: "names", Value: keys}}}
	for i := range rows {
		for c, at := range columns {
			row.Values[c] = at(i)
		}
		if rows[i], err = encode(row); err != nil {
			return nil, nil, fmt.Errorf("value of R: row %d: %w", i+1, err)
		}
	}
	if c, ok := frame.Attrs.Get("row.names").(*rdata.Character); ok && c.Len() == n {
		names = c.Strings()
	}
	return rows, names, nil
}

// cells returns what takes row i of a column of n rows: an element of a vector or list,
// a row of a matrix or data.frame.
func cells(v rdata.Value, n int) (func(i int) rdata.Value, error) {
	if l, ok := v.(*rdata.List); ok {
		if times, ok := brokenDown(l); ok {
			v = times
		} else if rows, ok := rdata.Rows(l); ok {
			if rows != n {
				return nil, fmt.Errorf("a data.frame of %d rows, of %d", rows, n)
			}
			return frameRow(l, n)
		}
	}
	if d := shape(v); len(d) == 2 && d[0] == n && atomic(v) {
		return func(i int) rdata.Value {
			index := make([]int, d[1])
			for j := range index {
				index[j] = i + j*n
			}
			return pick(v, index, rdata.Attributes{{Name: "dim", Value: &rdata.Integer{Values: []int32{1, int32(d[1])}}}})
		}, nil
	}
	if !atomic(v) && rdata.KindOf(v) != rdata.KindList || v.Len() != n {
		return nil, fmt.Errorf("it is %s, not of %d rows", describe(v), n)
	}
	return part(v), nil
}

func frameRow(l *rdata.List, n int) (func(i int) rdata.Value, error) {
	inner := make([]func(i int) rdata.Value, len(l.Values))
	for c, column := range l.Values {
		var err error
		if inner[c], err = cells(column, n); err != nil {
			return nil, err
		}
		if column, ok := column.(*rdata.List); ok && !rdata.Inherits(column, "data.frame") {
			at := inner[c] // a column of a data.frame stays a list
			inner[c] = func(i int) rdata.Value { return &rdata.List{Values: []rdata.Value{at(i)}} }
		}
	}
	names := namesIn(l.Attrs, len(l.Values))
	return func(i int) rdata.Value {
		columns := make([]rdata.Value, len(inner))
		for c := range inner {
			columns[c] = inner[c](i)
		}
		return withRows(names, columns, 1)
	}, nil
}

// part returns what takes element i of a vector, with those attributes that give it
// its meaning, or of a list.
func part(v rdata.Value) func(i int) rdata.Value {
	if l, ok := v.(*rdata.List); ok {
		return func(i int) rdata.Value { return l.Values[i] }
	}
	var kept rdata.Attributes
	for _, class := range []string{"factor", "Date", "POSIXct", "difftime", "integer64"} {
		if !rdata.Inherits(v, class) {
			continue
		}
		for _, a := range v.Attributes() {
			switch a.Name {
			case "class", "levels", "tzone", "units":
				kept = append(kept, a)
			}
		}
		break
	}
	index := make([]int, 1)
	return func(i int) rdata.Value {
		index[0] = i
		return pick(v, index, kept)
	}
}

// pick is the vector of the elements of v at index.
func pick(v rdata.Value, index []int, attrs rdata.Attributes) rdata.Value {
	switch v := v.(type) {
	case *rdata.Logical:
		return &rdata.Logical{Values: at(v.Values, index), Attrs: attrs}
	case *rdata.Integer:
		return &rdata.Integer{Values: at(v.Values, index), Attrs: attrs}
	case *rdata.Double:
		return &rdata.Double{Values: at(v.Values, index), Attrs: attrs}
	case *rdata.Complex:
		return &rdata.Complex{Values: at(v.Values, index), Attrs: attrs}
	case *rdata.Raw:
		return &rdata.Raw{Values: at(v.Values, index), Attrs: attrs}
	case *rdata.Character:
		c := &rdata.Character{Attrs: attrs}
		for _, i := range index {
			if s, ok := v.At(i); ok {
				c.Append(s)
			} else {
				c.AppendNA()
			}
		}
		return c
	}
	return rdata.Null{}
}

func at[T any](values []T, index []int) []T {
	out := make([]T, len(index))
	for k, i := range index {
		out[k] = values[i]
	}
	return out
}

// Join makes a list of whole streams: what Split takes apart. names may be nil, and else
// has one for each.
func Join(streams [][]byte, names []string) ([]byte, error) {
	if names != nil && len(names) != len(streams) {
		return nil, fmt.Errorf("list of R: %d names for %d elements", len(names), len(streams))
	}
	size := rdata.HeaderSize + 64
	for _, s := range streams {
		size += len(s)
	}
	e := rdata.Encoder{Buf: rdata.AppendHeader(make([]byte, 0, size))}
	e.VectorHead(rdata.KindList, len(streams), false, names != nil)
	for i, s := range streams {
		b, err := plain(s)
		if err == nil {
			err = e.Stream(b, limits)
		}
		if err != nil {
			return nil, fmt.Errorf("list of R: element %d: %w", i+1, err)
		}
	}
	if names != nil {
		e.Attr("names")
		if err := e.Strs(names...); err != nil {
			return nil, fmt.Errorf("list of R: names: %w", err)
		}
		e.EndAttrs()
	}
	return e.Buf, nil
}
