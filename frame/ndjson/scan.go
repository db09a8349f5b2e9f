package ndjson

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest.
const MaxDepth = 256

// SyntaxError says that a text is not JSON as RFC 8259 has it, and where.
type SyntaxError struct {
	Offset int // bytes from the start of the record
	Msg    string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("JSON, byte %d: %s", e.Offset+1, e.Msg) }

// unexpected says what stands at i where something else was wanted.
func unexpected(b []byte, i int, want string) error {
	if i >= len(b) {
		return &SyntaxError{len(b), "ends where " + want + " was expected"}
	}
	r, _ := utf8.DecodeRune(b[i:])
	return &SyntaxError{i, fmt.Sprintf("%q where %s was expected", r, want)}
}

// space is the index of the next byte that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skip checks the value at b[i], which must not be white space, and returns
// where it ends.
func skip(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return 0, unexpected(b, i, "a value")
	}
	switch b[i] {
	case '"':
		_, end, err := quoted(b, i)
		return end, err
	case '{':
		return skipObject(b, i, depth+1)
	case '[':
		return skipArray(b, i, depth+1)
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return literal(b, i, "null")
	}
	return number(b, i)
}

func skipObject(b []byte, i, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, &SyntaxError{i, fmt.Sprintf("nested deeper than %d", MaxDepth)}
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		end, err := skipKey(b, i)
		if err != nil {
			return 0, err
		}
		if i, err = skip(b, end, depth); err != nil {
			return 0, err
		}
		var done bool
		if i, done, err = next(b, i, '}'); done || err != nil {
			return i, err
		}
	}
}

func skipArray(b []byte, i, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, &SyntaxError{i, fmt.Sprintf("nested deeper than %d", MaxDepth)}
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := skip(b, i, depth)
		if err != nil {
			return 0, err
		}
		var done bool
		if i, done, err = next(b, end, ']'); done || err != nil {
			return i, err
		}
	}
}

// skipKey passes a key and its colon, to the value.
func skipKey(b []byte, i int) (int, error) {
	if i >= len(b) || b[i] != '"' {
		return 0, unexpected(b, i, "a key in quotes")
	}
	_, i, err := quoted(b, i)
	if err != nil {
		return 0, err
	}
	return colon(b, i)
}

func colon(b []byte, i int) (int, error) {
	i = space(b, i)
	if i >= len(b) || b[i] != ':' {
		return 0, unexpected(b, i, "a colon")
	}
	return space(b, i+1), nil
}

// next passes the comma after an element, or the closing bracket.
func next(b []byte, i int, closing byte) (after int, done bool, err error) {
	i = space(b, i)
	if i < len(b) {
		switch b[i] {
		case ',':
			return space(b, i+1), false, nil
		case closing:
			return i + 1, true, nil
		}
	}
	return 0, false, unexpected(b, i, fmt.Sprintf("a comma or %q", closing))
}

func literal(b []byte, i int, word string) (int, error) {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return 0, unexpected(b, i, "a value")
	}
	return i + len(word), nil
}

// number passes a number, by RFC 8259's grammar.
func number(b []byte, i int) (int, error) {
	start := i
	if b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b) || b[i]-'0' > 9:
		if i > start {
			return 0, unexpected(b, i, "a digit")
		}
		return 0, unexpected(b, i, "a value")
	case b[i] == '0':
		i++
	default:
		i = digits(b, i)
	}
	if i < len(b) && b[i] == '.' {
		k := digits(b, i+1)
		if k == i+1 {
			return 0, unexpected(b, k, "a digit")
		}
		i = k
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		k := digits(b, i)
		if k == i {
			return 0, unexpected(b, k, "a digit")
		}
		i = k
	}
	return i, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

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
