package ndjson

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// jsonKind is what the values of a column have been so far, in the order of the
// lattice: each type holds the values of those before it.
type jsonKind uint8

const (
	mayNull jsonKind = iota
	mayBool
	mayInt
	mayDouble
	mayString
	mayJSON
)

// kindOf is the kind of one value, which has been checked.
func kindOf(text []byte) jsonKind {
	switch text[0] {
	case 'n':
		return mayNull
	case 't', 'f':
		return mayBool
	case '"':
		return mayString
	case '{', '[':
		return mayJSON
	}
	if _, ok := frame.ParseInt(text); ok {
		return mayInt
	}
	if _, ok := frame.ParseDouble(text); ok {
		return mayDouble
	}
	return mayString // 1e999, or an integer that neither int64 nor double holds
}

// unify is the least kind that holds both. A number is not a boolean, so both
// together are text.
func unify(a, b jsonKind) jsonKind {
	if a > b {
		a, b = b, a
	}
	if a == mayBool && (b == mayInt || b == mayDouble) {
		return mayString
	}
	return b
}

func fieldOf(k jsonKind) arrow.Field {
	f := arrow.Field{Type: arrow.BinaryTypes.String, Nullable: true}
	switch k {
	case mayBool:
		f.Type = arrow.FixedWidthTypes.Boolean
	case mayInt:
		f.Type = arrow.PrimitiveTypes.Int64
	case mayDouble:
		f.Type = arrow.PrimitiveTypes.Float64
	case mayJSON:
		f.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaJSON: "1"})
	}
	return f
}

// Inferrer finds the columns of records and their types, in the order of first
// appearance. A column gets the first type of
//
//	bool, int64 < double < string < json
//
// that holds all its values; booleans and numbers together are string, a column
// of nothing but null is string. Dates and times are strings unless declared.
type Inferrer struct {
	declared map[string]arrow.Field
	names    []string
	kinds    []jsonKind
	index    map[string]int
	seen     []int
	record   int
	key      []byte
}

// NewInferrer starts with the declared columns, by name; nil for none. Those
// that no sample has stand behind the others, sorted by name.
func NewInferrer(declared map[string]arrow.Field) *Inferrer {
	return &Inferrer{declared: declared, index: map[string]int{}}
}

// Sample takes one record into account. The error is a *SyntaxError; the record
// does not count then.
func (in *Inferrer) Sample(record []byte) error {
	b := record
	if !utf8.Valid(b) {
		return invalidUTF8(b)
	}
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return unexpected(b, i, "a record ({…})")
	}
	end, err := skip(b, i, 0)
	if err != nil {
		return err
	}
	if k := space(b, end); k < len(b) {
		return unexpected(b, k, "the end of the record")
	}
	in.record++
	return in.keys(b, space(b, i+1))
}

// keys goes through the keys of an object that has been checked, from the first one on.
func (in *Inferrer) keys(b []byte, i int) error {
	for done := b[i] == '}'; !done; {
		escaped, end, err := quoted(b, i)
		if err != nil {
			return err
		}
		key := b[i+1 : end-1]
		if escaped {
			in.key = unescape(in.key[:0], key)
			key = in.key
		}
		k, ok := in.index[string(key)]
		if !ok {
			k = len(in.names)
			in.index[string(key)] = k
			in.names = append(in.names, string(key))
			in.kinds = append(in.kinds, mayNull)
			in.seen = append(in.seen, 0)
		}
		if in.seen[k] == in.record {
			return &SyntaxError{i, fmt.Sprintf("the key %q twice in one record", key)}
		}
		in.seen[k] = in.record
		start, err := colon(b, end)
		if err != nil {
			return err
		}
		if end, err = skip(b, start, 1); err != nil {
			return err
		}
		in.kinds[k] = unify(in.kinds[k], kindOf(b[start:end]))
		if i, done, err = next(b, end, '}'); err != nil {
			return err
		}
	}
	return nil
}

// Schema is what the samples so far have.
func (in *Inferrer) Schema() *frame.Schema {
	fields := make([]arrow.Field, 0, len(in.names))
	for i, name := range in.names {
		f, ok := in.declared[name]
		if !ok {
			f = fieldOf(in.kinds[i])
		}
		f.Name, f.Nullable = name, true
		fields = append(fields, f)
	}
	for _, name := range slices.Sorted(maps.Keys(in.declared)) {
		if _, ok := in.index[name]; !ok {
			f := in.declared[name]
			f.Name, f.Nullable = name, true
			fields = append(fields, f)
		}
	}
	return arrow.NewSchema(fields, nil)
}
