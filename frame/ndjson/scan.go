package ndjson

import (
	"fmt"
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
