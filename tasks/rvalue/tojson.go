package rvalue

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/rdata"
)

// ToJSON appends the value in a stream to dst as JSON: vectors of length 1 as scalars
// (unless I() says otherwise), longer ones as arrays without their names, matrices as
// arrays of rows, named lists as objects, data.frames as arrays of rows, with row names
// under _row; factors as text, dates and times by ISO 8601 in UTC, raw vectors in base64,
// NULL and NA as null, NaN and Inf as strings. What has no JSON (functions,
// environments, …) is {"class": …, "text": "not representable"}.
//
// FromJSON makes the same value of it where it has no other attributes, but that it
// cannot tell integers from doubles without a fraction.
func ToJSON(stream, dst []byte) ([]byte, error) {
	v, err := decode(stream, expanding(2*MaxJSON)) // of which more would not fit into the JSON
	if err != nil {
		return dst, err
	}
	w := writer{b: dst, most: len(dst) + MaxJSON}
	w.value(v)
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

// A writer appends JSON until it is more than most bytes: a factor, for one, says in
// four bytes what takes as much text as its level.
type writer struct {
	b    []byte
	most int
	err  error
}

var errLong = fmt.Errorf("the value takes more than %d MiB as JSON", MaxJSON>>20)

// full reports whether nothing more may be written.
func (w *writer) full() bool {
	if w.err == nil && len(w.b) > w.most {
		w.err = errLong
	}
	return w.err != nil
}

func (w *writer) null() { w.b = append(w.b, "null"...) }

// value writes v whole.
func (w *writer) value(v rdata.Value) {
	if w.full() {
		return
	}
	switch v := v.(type) {
	case nil, rdata.Null:
		w.null()
		return
	case *rdata.Symbol:
		w.text(v.Name)
		return
	case *rdata.Raw:
		w.b = append(w.b, '"')
		w.b = base64.StdEncoding.AppendEncode(w.b, v.Values)
		w.b = append(w.b, '"')
		return
	case *rdata.Opaque:
		w.opaque(v)
		return
	case *rdata.Pairlist:
		l := &rdata.List{}
		names, some := make([]string, len(v.Cells)), false
		for i, c := range v.Cells {
			l.Values = append(l.Values, c.Value)
			names[i] = c.Tag
			some = some || c.Tag != ""
		}
		if !some {
			names = nil
		}
		w.list(named(l, names))
		return
	case *rdata.List:
		if times, ok := brokenDown(v); ok {
			w.value(times)
			return
		}
		if rows, ok := rdata.Rows(v); ok {
			w.rows(v, rows)
			return
		}
		if d := shape(v); d != nil {
			w.array(v, d)
			return
		}
		w.list(v)
		return
	}
	if d := shape(v); d != nil {
		w.array(v, d)
		return
	}
	if v.Len() == 1 && !rdata.Inherits(v, "AsIs") {
		w.scalars(v)(0)
		return
	}
	w.each('[', v.Len(), w.scalars(v), ']')
}

// each writes n elements between brackets.
func (w *writer) each(open byte, n int, element func(i int), end byte) {
	w.b = append(w.b, open)
	for i := range n {
		if w.full() {
			return
		}
		if i > 0 {
			w.b = append(w.b, ',')
		}
		element(i)
	}
	w.b = append(w.b, end)
}

func (w *writer) list(v *rdata.List) {
	names, ok := v.Attrs.Get("names").(*rdata.Character)
	if !ok || names.Len() != len(v.Values) {
		w.each('[', len(v.Values), func(i int) { w.value(v.Values[i]) }, ']')
		return
	}
	keys := keys(names)
	w.each('{', len(v.Values), func(i int) { w.key(keys[i]); w.value(v.Values[i]) }, '}')
}

func (w *writer) key(name string) {
	w.text(name)
	w.b = append(w.b, ':')
}

// keys are names that are there, and once: a missing one is its number.
func keys(names *rdata.Character) []string {
	keys := names.Strings()
	for i, k := range keys {
		if k == "" {
			keys[i] = strconv.Itoa(i + 1)
		}
	}
	return unique(keys)
}

// shape is the dimensions of a matrix or array that fit its length.
func shape(v rdata.Value) []int {
	d := dim(v)
	if len(d) < 2 {
		return nil
	}
	shape, n := make([]int, len(d)), 1
	for i, x := range d {
		if x < 0 || x > 0 && n > math.MaxInt32/int(x) {
			return nil
		}
		shape[i] = int(x)
		n *= int(x)
	}
	if n != v.Len() {
		return nil
	}
	return shape
}

// array writes nested arrays, the first dimension outermost.
func (w *writer) array(v rdata.Value, shape []int) {
	w.each('[', shape[0], w.slices(v, shape), ']')
}

// cell returns what writes element i of any vector.
func (w *writer) cell(v rdata.Value) func(i int) {
	if l, ok := v.(*rdata.List); ok {
		return func(i int) { w.value(l.Values[i]) }
	}
	return w.scalars(v)
}

// text writes a string. Control characters are escaped, and the line separators that
// JavaScript once did not allow.
func (w *writer) text(s string) {
	const hex = "0123456789abcdef"
	b := append(w.b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\t':
				b = append(b, '\\', 't')
			case '\r':
				b = append(b, '\\', 'r')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == '\u2028' || r == '\u2029' {
			b = append(append(b, s[start:i]...), '\\', 'u', '2', '0', '2', hex[r&15])
			start = i + n
		}
		i += n
	}
	w.b = append(append(b, s[start:]...), '"')
}

func (w *writer) opaque(v *rdata.Opaque) {
	class := rdata.Class(v)
	if len(class) == 0 {
		class = []string{kindClass(v.Kind)}
	}
	w.b = append(w.b, `{"class":`...)
	w.value(rdata.NewCharacter(class))
	w.b = append(w.b, `,"text":"not representable"}`...)
}

// kindClass is what class() says of an object without that attribute.
func kindClass(k rdata.Kind) string {
	switch k {
	case rdata.KindClosure, rdata.KindBuiltin, rdata.KindSpecial:
		return "function"
	case rdata.KindLanguage:
		return "call"
	}
	return k.String()
}
