// Package rvalue turns R values, which the task queue keeps as whole streams of R's
// serialization, into what stands at its edges and back: JSON, the elements of an array
// job.
//
// Streams may be of version 2 or 3, big-endian or native, and compressed as .rds files
// are; those that come out are native, of version 2, and not compressed. Input may come
// from anyone: what is malformed or beyond the limits gives an error, never a panic.
package rvalue

import (
	"bytes"
	"fmt"
	"io"

	"github.com/rpipe-dev/rpipe/rdata"
)

// Limits of what is read and made.
const (
	// MaxBytes is how long a stream may be, decompressed, that is looked into.
	MaxBytes = 4 << 30
	// MaxJSON is how long a JSON document may be that is read or made.
	MaxJSON = 128 << 20
	// MaxDepth is how deep lists, or arrays and objects of JSON, may nest.
	MaxDepth = 1000
)

var limits = &rdata.Limits{MaxBytes: MaxBytes, MaxDepth: MaxDepth, MaxExpand: 1 << 30}

// LargeError says that a stream is longer than was allowed.
type LargeError struct{ Most int64 }

func (e *LargeError) Error() string {
	return fmt.Sprintf("more than %d bytes without its compression", e.Most)
}

// Within is a stream without its compression, which may be most bytes long: a thousand
// times as much as is sent can be in it. The error is a *LargeError where it is longer.
func Within(stream []byte, most int64) ([]byte, error) {
	b, err := unpack(stream, most)
	if err != nil {
		return nil, fmt.Errorf("value of R: %w", err)
	}
	return b, nil
}

// plain is a stream without its compression.
func plain(stream []byte) ([]byte, error) { return unpack(stream, MaxBytes) }

func unpack(stream []byte, most int64) ([]byte, error) {
	if len(stream) >= 2 && stream[1] == '\n' {
		return whole(stream, most)
	}
	r, c, err := rdata.Decompress(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	if c == rdata.None {
		return whole(stream, most) // its reader says what is wrong with it
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("%v data: %w", c, err)
	}
	if b, err = whole(b, most); err != nil {
		return nil, fmt.Errorf("%v data: %w", c, err)
	}
	return b, nil
}

func whole(b []byte, most int64) ([]byte, error) {
	if int64(len(b)) > most {
		return nil, &LargeError{most}
	}
	return b, nil
}

// expanding are limits where no more is made than so many bytes of what is short as R
// writes it: 1:1e8, for one, comes in a hundred.
func expanding(most int64) *rdata.Limits {
	l := *limits
	l.MaxExpand = min(l.MaxExpand, most)
	return &l
}

func decode(stream []byte, lim *rdata.Limits) (rdata.Value, error) {
	b, err := plain(stream)
	if err != nil {
		return nil, fmt.Errorf("value of R: %w", err)
	}
	v, err := rdata.Unmarshal(b, lim)
	if err != nil {
		return nil, fmt.Errorf("value of R: %w", err)
	}
	return v, nil
}

func encode(v rdata.Value) ([]byte, error) { return rdata.Append(nil, v, rdata.Format{}) }

// Normalize is the same value as a native stream of version 2 that is not compressed,
// which is what R reads fastest: stream itself where it is one.
func Normalize(stream []byte) ([]byte, error) {
	b, err := plain(stream)
	if err != nil {
		return nil, fmt.Errorf("value of R: %w", err)
	}
	if bytes.HasPrefix(b, rdata.AppendHeader(nil)[:6]) { // native, version 2
		return b, nil
	}
	e := rdata.Encoder{Buf: rdata.AppendHeader(make([]byte, 0, len(b)))}
	if err := e.Stream(b, limits); err != nil {
		return nil, fmt.Errorf("value of R: %w", err)
	}
	return e.Buf, nil
}
