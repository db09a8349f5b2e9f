// Package rvalue turns R values, which the task queue keeps as whole streams of R's
// serialization, into what stands at its edges and back: JSON, the elements of an array
// job, a line of text.
//
// Streams may be of version 2 or 3, big-endian or native, and compressed as .rds files
// are. Input may come from anyone: what is malformed or beyond the limits gives an
// error, never a panic.
package rvalue

import "errors"

// FromJSON makes an R value of a JSON document, by the rules of jsonlite::fromJSON:
// scalars are vectors of length 1, arrays of scalars are vectors, arrays of objects
// data.frames, others lists. null is NULL, and NA in a vector.
func FromJSON(json []byte) (stream []byte, err error) { return nil, errors.ErrUnsupported }

// ToJSON appends the value in a stream to dst as JSON: vectors of length 1 as scalars,
// data.frames as rows, factors as text, dates and times by ISO 8601, NA as null. What
// has no JSON (functions, environments, …) is {"class": …, "text": …}.
func ToJSON(stream, dst []byte) ([]byte, error) { return dst, errors.ErrUnsupported }

// Normalize is the same value as an uncompressed stream of version 2, native, where
// that is what it takes for R to read it fastest; other streams are returned as is.
func Normalize(stream []byte) ([]byte, error) { return nil, errors.ErrUnsupported }

// Split cuts a list or vector into its elements, as x[[i]] has them, each a whole
// stream. names is nil where there are none.
func Split(stream []byte) (elements [][]byte, names []string, err error) {
	return nil, nil, errors.ErrUnsupported
}

// Rows cuts a data.frame into its rows: named lists with an element a column.
func Rows(stream []byte) (rows [][]byte, names []string, err error) {
	return nil, nil, errors.ErrUnsupported
}

// Join makes a list of whole streams: what Split takes apart. names may be nil.
func Join(streams [][]byte, names []string) ([]byte, error) { return nil, errors.ErrUnsupported }

// Summary is a value in one line, as str() would have it: "num [1:100] 1 2 3 4 5 …".
func Summary(stream []byte) string { return "" }

// Quote is s as a string literal of R.
func Quote(s string) string { return "" }
