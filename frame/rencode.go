package frame

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/rdata"
)

// ROptions say how values cross to R.
type ROptions struct {
	Int64 Int64Mode // how int64 arrives in R
}

// Int64Mode is double (default; beyond 2^53 is an error) or integer64 (bit64).
type Int64Mode int

// The two ways for an int64 column to arrive in R.
const (
	Int64Double Int64Mode = iota
	Int64Bit64
)

// ValueError says that R cannot hold a value.
type ValueError struct {
	Column string
	Row    int // from 0; -1 where it is not one row
	Reason string
	Hint   string // how to mend it
}

func (e *ValueError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "column %q", e.Column)
	if e.Row >= 0 {
		fmt.Fprintf(&b, ", row %d", e.Row+1)
	}
	b.WriteString(": " + e.Reason)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// encoders keep their table of symbols, so that AppendR need not make one.
var encoders = sync.Pool{New: func() any { return new(rdata.Encoder) }}

// AppendR appends f as a data.frame in R's serialization: a headerless item
// (see rdata.AppendItem). Null becomes NA (NULL in list columns), NaN stays NaN.
// Row names are the numbers 1 to n. It allocates nothing where dst has room.
//
// What R cannot hold is a *ValueError: an integer of -2^31 (which is NA there),
// an int64 beyond 2^53 that should be a double, one of -2^63 that should be an
// integer64, a string with a NUL or that is not UTF-8, a time beyond the year
// 2242 whose microseconds a double does not tell. Types that frames do not have
// are an error too.
func AppendR(dst []byte, f Frame, o ROptions) ([]byte, error) {
	return appendR(dst, f, o, nil)
}

// AppendCodedR is AppendR, but text columns with few different strings are
// written as integer codes with an attribute levels: who reads the data.frame
// replaces such a column x by levels[x]. Coded are their numbers, from 1 as R
// counts.
func AppendCodedR(dst []byte, f Frame, o ROptions) (out []byte, coded []int32, err error) {
	out, err = appendR(dst, f, o, &coded)
	return out, coded, err
}

func appendR(dst []byte, f Frame, o ROptions, coded *[]int32) ([]byte, error) {
	s := f.Schema()
	n := int(f.NumRows())
	if n > math.MaxInt32 {
		return dst, fmt.Errorf("encode for R: %d rows; R's data frames have fewer than 2^31", n)
	}
	if !distinctNames(s) {
		return dst, fmt.Errorf("encode for R: %w", duplicateError(s.Fields()))
	}
	e := encoders.Get().(*rdata.Encoder)
	defer encoders.Put(e)
	e.Reset()
	e.Buf = dst
	err := appendFrame(e, f, n, o, coded)
	out := e.Buf
	e.Buf = nil
	if err != nil {
		return dst, fmt.Errorf("encode for R: %w", err)
	}
	return out, nil
}

func appendFrame(e *rdata.Encoder, f Frame, n int, o ROptions, coded *[]int32) error {
	s := f.Schema()
	e.VectorHead(rdata.KindList, s.NumFields(), true, true)
	for i := range s.NumFields() {
		c := rcolumn{e: e, o: o, field: s.Field(i)}
		if text, ok := f.Column(i).(*array.String); ok && coded != nil {
			done, err := c.coded(text, n)
			if err != nil {
				return err
			}
			if done {
				*coded = append(*coded, int32(i+1))
				continue
			}
		}
		if err := c.vector(f.Column(i), 0, n); err != nil {
			return err
		}
	}
	e.Attr("names")
	e.VectorHead(rdata.KindCharacter, s.NumFields(), false, false)
	for i := range s.NumFields() {
		name := s.Field(i).Name
		if err := e.Str(textBytes(name)); err != nil {
			return fmt.Errorf("name of column %d (%q): %w", i+1, name, err)
		}
	}
	e.Attr("class")
	e.Strs("data.frame")
	e.Attr("row.names")
	e.VectorHead(rdata.KindInteger, 2, false, false)
	e.Int32s([]int32{rdata.NAInteger, int32(-n)})
	e.EndAttrs()
	return nil
}

// distinctNames says that no two columns share a name, without allocating for
// frames of a usual width.
func distinctNames(s *Schema) bool {
	n := s.NumFields()
	if n > 64 {
		return len(duplicateNames(s.Fields())) == 0
	}
	for i := range n {
		for k := range i {
			if s.Field(i).Name == s.Field(k).Name {
				return false
			}
		}
	}
	return true
}

// duplicateError names the columns that share their names.
func duplicateError(fields []arrow.Field) error {
	return fmt.Errorf("more than one column is called %s; rename them", strings.Join(duplicateNames(fields), ", "))
}
