package rdata

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

// strings reads the payload of a character vector. The first pass over it finds
// lengths and marks, so that the second copies into memory of the right size;
// text is checked as a whole afterwards.
func (d *decoder) strings(v *Character) error {
	n, err := d.length(8)
	if err != nil || n == 0 {
		return err
	}
	start, b := d.p, d.b
	offsets := make([]int64, n+1)
	v.Offsets = offsets
	plain := true // no string needs conversion or comes with attributes
	p, total := start, 0
	for i := range n {
		if len(b)-p < 8 {
			return d.errEnd("a character vector")
		}
		flags, size := binary.LittleEndian.Uint32(b[p:]), binary.LittleEndian.Uint32(b[p+4:])
		if d.big {
			flags, size = bits.ReverseBytes32(flags), bits.ReverseBytes32(size)
		}
		p += 8
		switch {
		case size > math.MaxInt32:
			if size != math.MaxUint32 {
				return d.errorAt(p-4, "%sstring of length %d", ordinal(i), int32(size))
			}
			size = 0
			if v.Missing == nil {
				v.Missing = make([]uint64, (n+63)/64)
			}
			v.Missing[i>>6] |= 1 << (uint(i) & 63)
		case int(size) > len(b)-p:
			return d.errEnd("a character vector")
		}
		if flags != charASCII && flags != charUTF8 && (flags != charNA || size > 0 && d.native != nil) {
			plain = false
			break
		}
		p += int(size)
		total += int(size)
		offsets[i+1] = int64(total)
	}
	if !plain {
		d.p = start
		return d.convertStrings(v, n)
	}
	v.Data = make([]byte, total)
	src := b[start:p]
	for i := range n {
		from, to := offsets[i], offsets[i+1]
		at := int64(8*(i+1)) + from
		// Most strings are short, and a copy of 16 bytes is two moves.
		if to-from <= 16 && int64(total)-from >= 16 && int64(len(src))-at >= 16 {
			*(*[16]byte)(v.Data[from:]) = [16]byte(src[at:])
			continue
		}
		copy(v.Data[from:to], src[at:])
	}
	d.p = p
	return d.checkText(v, start)
}

// checkText refuses a vector, whose payload began at start, with a string that is
// not text. Where the whole is UTF-8 and no string begins within a character,
// each string is UTF-8; otherwise reading one by one finds the one that is not.
func (d *decoder) checkText(v *Character, start int) error {
	good := bytes.IndexByte(v.Data, 0) < 0
	if good && !isASCII(v.Data) {
		good = utf8.Valid(v.Data)
		for _, o := range v.Offsets[1:] {
			good = good && (o == int64(len(v.Data)) || utf8.RuneStart(v.Data[o]))
		}
	}
	if good {
		return nil
	}
	d.p = start
	return d.convertStrings(v, v.Len())
}

// invalidUTF8 is an error at the first byte of s that is not UTF-8, or nil.
func invalidUTF8(s []byte, at int) error {
	if utf8.Valid(s) {
		return nil
	}
	i := 0
	for {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			return &SyntaxError{int64(at + i), "string that is not valid UTF-8"}
		}
		i += n
	}
}

// convertStrings is the slow way for a vector with strings that are not UTF-8.
func (d *decoder) convertStrings(v *Character, n int) error {
	v.Offsets = append(make([]int64, 0, n+1), 0)
	v.Missing = nil
	for i := range n {
		at := d.p
		flags, err := d.word()
		if err != nil {
			return err
		}
		if Kind(flags) != KindChar {
			return d.errorAt(at, "%selement of type %v in a character vector", ordinal(i), Kind(flags))
		}
		s, na, err := d.char(flags)
		if err != nil {
			if e, ok := err.(*SyntaxError); ok {
				e.Msg = ordinal(i) + e.Msg
			}
			return err
		}
		v.Data = append(v.Data, s...)
		v.Offsets = append(v.Offsets, int64(len(v.Data)))
		if na {
			if v.Missing == nil {
				v.Missing = make([]uint64, (n+63)/64)
			}
			v.Missing[i>>6] |= 1 << (uint(i) & 63)
		}
	}
	return nil
}

// char reads a string after its flags, as UTF-8. The bytes may be the input's own.
func (d *decoder) char(flags uint32) (s []byte, na bool, err error) {
	at := d.p
	n, err := d.int()
	if err != nil {
		return nil, false, err
	}
	if n < -1 {
		return nil, false, d.errorAt(at, "string of length %d", n)
	}
	if n == -1 {
		na, n = true, 0
	}
	at = d.p
	if s, err = d.take(n, "a string"); err != nil {
		return nil, false, err
	}
	if i := bytes.IndexByte(s, 0); i >= 0 {
		return nil, false, d.errorAt(at+i, "string with an embedded NUL")
	}
	level := flags >> levelShift
	switch {
	case level&levelUTF8 != 0:
		err = invalidUTF8(s, at)
	case level&levelLatin1 != 0:
		// R, too, reads latin1 as Windows-1252, its superset
		s, err = d.convert(charmap.Windows1252, s, at)
	case level&levelBytes != 0:
		err = d.errorAt(at, `string marked as "bytes", which is not text; in R, enc2utf8() or iconv() it`)
	case level&levelASCII == 0 && d.native != nil:
		s, err = d.convert(d.native, s, at)
	default:
		err = invalidUTF8(s, at)
	}
	if err != nil {
		return nil, false, err
	}
	if flags&flagAttrs != 0 {
		// R before 2.8 kept attributes on strings; R too leaves them out
		return s, na, d.skip()
	}
	return s, na, nil
}

func (d *decoder) convert(enc encoding.Encoding, s []byte, at int) ([]byte, error) {
	if isASCII(s) {
		return s, nil
	}
	u, err := enc.NewDecoder().Bytes(s)
	if err != nil {
		return nil, d.errorAt(at, "string cannot be converted to UTF-8: %v", err)
	}
	return u, nil
}

// nativeEncoding is the encoding that a version 3 header names, nil for UTF-8.
// An encoding that is not known is taken for UTF-8, which ASCII is part of;
// anything else in it is then found out as not valid.
func nativeEncoding(name string) encoding.Encoding {
	switch strings.ToLower(name) {
	case "latin1", "iso-8859-1", "iso8859-1", "cp1252", "windows-1252":
		return charmap.Windows1252
	case "iso-8859-15", "iso8859-15", "latin-9":
		return charmap.ISO8859_15
	case "iso-8859-2", "iso8859-2", "latin2":
		return charmap.ISO8859_2
	case "cp1250", "windows-1250":
		return charmap.Windows1250
	case "cp1251", "windows-1251":
		return charmap.Windows1251
	}
	return nil
}
