package ndjson

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain is the index of the next quote, backslash or control character, or
// len(b). It looks at eight bytes at a time; a byte that borrows from its
// neighbour can only mark one behind a true mark, and the first decides.
func plain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if m := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// quoted checks the string at b[i] and returns where it ends, after its quote,
// and whether it has escapes.
func quoted(b []byte, i int) (escaped bool, end int, err error) {
	start := i
	for i++; ; {
		i = plain(b, i)
		if i >= len(b) {
			return false, 0, &SyntaxError{start, "a string without end"}
		}
		switch b[i] {
		case '"':
			return escaped, i + 1, nil
		case '\\':
			escaped = true
			_, n, err := escape(b, i)
			if err != nil {
				return false, 0, err
			}
			i += n
		default:
			return false, 0, &SyntaxError{i, fmt.Sprintf("control character %#02x in a string", b[i])}
		}
	}
}

// escape reads the escape at b[i], a backslash: the character and its length.
func escape(b []byte, i int) (r rune, n int, err error) {
	if i+1 < len(b) {
		switch b[i+1] {
		case 'n':
			return '\n', 2, nil
		case 't':
			return '\t', 2, nil
		case 'r':
			return '\r', 2, nil
		case 'b':
			return '\b', 2, nil
		case 'f':
			return '\f', 2, nil
		case '"', '\\', '/':
			return rune(b[i+1]), 2, nil
		case 'u':
			r, ok := hex4(b, i+2)
			switch {
			case !ok:
			case !utf16.IsSurrogate(r):
				return r, 6, nil
			case i+7 < len(b) && b[i+6] == '\\' && b[i+7] == 'u':
				low, ok := hex4(b, i+8)
				if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
					return pair, 12, nil
				}
				fallthrough
			default:
				return 0, 0, &SyntaxError{i, "half of a surrogate pair"}
			}
		}
	}
	return 0, 0, &SyntaxError{i, "an escape that JSON does not have"}
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape appends the text of a string whose inside, which has been checked,
// is b.
func unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		k := plain(b, i)
		dst = append(dst, b[i:k]...)
		i = k
		if i < len(b) {
			r, n, _ := escape(b, i)
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return dst
}
