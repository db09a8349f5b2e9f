package rdata

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
	"unsafe"
)

// ErrNUL says that a string holds a zero byte, which no R string can.
var ErrNUL = errors.New("embedded NUL, which R strings cannot hold")

// ErrUTF8 says that a string is not UTF-8.
var ErrUTF8 = errors.New("not valid UTF-8")

var errLong = errors.New("longer than 2^31-1 bytes, which R strings cannot be")

// Str appends an element of a character vector. The error is ErrNUL or ErrUTF8;
// nothing is appended then.
func (e *Encoder) Str(s []byte) error { return e.fail(e.str(s)) }

func (e *Encoder) str(s []byte) error {
	flags, err := charFlags(s)
	if err != nil {
		return err
	}
	e.word(flags)
	e.word(uint32(len(s)))
	e.Buf = append(e.Buf, s...)
	return nil
}

// NAStr appends a missing element of a character vector.
func (e *Encoder) NAStr() {
	e.word(charNA)
	e.word(math.MaxUint32)
}

// Strs appends a whole character vector without attributes. The error names the
// element and wraps ErrNUL or ErrUTF8; half of the vector is in Buf then.
func (e *Encoder) Strs(s ...string) error {
	e.VectorHead(KindCharacter, len(s), false, false)
	for i, x := range s {
		if err := e.str(unsafe.Slice(unsafe.StringData(x), len(x))); err != nil {
			return e.fail(fmt.Errorf("%s%w", ordinal(i), err))
		}
	}
	return nil
}

// StrColumn appends the payload of a character vector that is kept as Arrow keeps
// it: element i is data[offsets[i]:offsets[i+1]], and is NA where bit first+i of
// valid is 0; all are valid where valid is nil. The error is ErrNUL or ErrUTF8, of
// element i.
func (e *Encoder) StrColumn(offsets []int32, data, valid []byte, first int) (i int, err error) {
	i, err = appendStrings(e, offsets, data, validBits{valid, first})
	return i, e.fail(err)
}

// missing says which elements of a character vector are NA.
type missing interface {
	none() bool
	at(i int) bool
}

type missingBits []uint64

func (m missingBits) none() bool    { return m == nil }
func (m missingBits) at(i int) bool { return i>>6 < len(m) && m[i>>6]>>(uint(i)&63)&1 != 0 }

type validBits struct {
	bits  []byte
	first int
}

func (v validBits) none() bool { return v.bits == nil }

func (v validBits) at(i int) bool {
	i += v.first
	return v.bits != nil && v.bits[i>>3]>>(uint(i)&7)&1 == 0
}

// appendStrings appends all strings of a vector. Where all of its text is ASCII,
// which one look at the whole tells, nothing is asked of each string.
func appendStrings[O int32 | int64, M missing](e *Encoder, offsets []O, data []byte, na M) (int, error) {
	n := len(offsets) - 1
	if n < 1 {
		return 0, nil
	}
	text := data[offsets[0]:offsets[n]]
	if e.big || !isASCII(text) || bytes.IndexByte(text, 0) >= 0 {
		for i := range n {
			if na.at(i) {
				e.NAStr()
			} else if err := e.str(data[offsets[i]:offsets[i+1]]); err != nil {
				return i, err
			}
		}
		return 0, nil
	}
	// 16 bytes too many, so that short strings are copied in two moves
	size := len(e.Buf)
	b := e.Grow(8*n + len(text) + 16)
	some := !na.none()
	p := 0
	for i := range n {
		if some && na.at(i) {
			binary.LittleEndian.PutUint32(b[p:], charNA)
			binary.LittleEndian.PutUint32(b[p+4:], math.MaxUint32)
			p += 8
			continue
		}
		from, to := int(offsets[i]), int(offsets[i+1])
		binary.LittleEndian.PutUint32(b[p:], charASCII)
		binary.LittleEndian.PutUint32(b[p+4:], uint32(to-from))
		p += 8
		if to-from <= 16 && len(data)-from >= 16 {
			*(*[16]byte)(b[p:]) = [16]byte(data[from:])
			p += to - from
			continue
		}
		p += copy(b[p:], data[from:to])
	}
	e.Buf = e.Buf[:size+p]
	return 0, nil
}

// charFlags is the first word of a string.
func charFlags(s []byte) (uint32, error) {
	ascii, nul := true, false
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		ascii = ascii && w&highBits == 0
		nul = nul || (w-lowBits)&^w&highBits != 0
	}
	for ; i < len(s); i++ {
		ascii = ascii && s[i] < utf8.RuneSelf
		nul = nul || s[i] == 0
	}
	switch {
	case len(s) > math.MaxInt32:
		return 0, errLong
	case nul:
		return 0, ErrNUL
	case ascii:
		return charASCII, nil
	case !utf8.Valid(s):
		return 0, ErrUTF8
	}
	return charUTF8, nil
}

const (
	highBits = 0x8080808080808080
	lowBits  = 0x0101010101010101
)

func isASCII(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		if binary.LittleEndian.Uint64(s)&highBits != 0 {
			return false
		}
	}
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
