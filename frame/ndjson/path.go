package ndjson

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Path is where a value is in a JSON document: keys joined by dots, elements of
// arrays by their number from 0, counted from the end where it is negative:
// data.items[0].price. A key with a dot or bracket stands in brackets and
// quotes: rates["EUR.USD"]. The zero Path is the document itself.
type Path struct {
	text  string
	steps []step
}

// step goes into an object, by key, or into an array.
type step struct {
	key   string
	index int
	array bool
}

// ParsePath reads a path.
func ParsePath(text string) (Path, error) {
	p := Path{text: text}
	bad := func(why string) (Path, error) { return Path{}, fmt.Errorf("%q is no path into JSON: %s", text, why) }
	for rest := text; rest != ""; {
		switch {
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if strings.HasPrefix(rest, `["`) {
				end = strings.Index(rest, `"]`) + 1
			}
			if end <= 0 {
				return bad("a bracket is not closed")
			}
			inside := rest[1:end]
			rest = rest[end+1:]
			if inside != "" && inside[0] == '"' {
				if len(inside) < 2 {
					return bad("a quote is not closed")
				}
				p.steps = append(p.steps, step{key: inside[1 : len(inside)-1]})
				break
			}
			n, err := strconv.Atoi(inside)
			if err != nil {
				return bad("[" + inside + "] is not the number of an element")
			}
			p.steps = append(p.steps, step{index: n, array: true})
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return bad("a key is empty")
			}
			p.steps = append(p.steps, step{key: rest[:end]})
			rest = rest[end:]
		}
		if strings.HasPrefix(rest, ".") {
			if rest = rest[1:]; rest == "" || rest[0] == '[' || rest[0] == '.' {
				return bad("a key is empty")
			}
		} else if rest != "" && rest[0] != '[' {
			return bad("after a bracket comes a dot or a bracket")
		}
	}
	return p, nil
}

// Key is the path of one key of the document, whatever characters it has.
func Key(key string) Path { return Path{text: key, steps: []step{{key: key}}} }

// String is the path as it was written.
func (p Path) String() string { return p.text }

// Find returns the text of the value in a document that Valid has passed; ok is
// false where there is none. It shares doc's memory.
func (p Path) Find(doc []byte) (value []byte, ok bool) {
	i := space(doc, 0)
	for _, s := range p.steps {
		var err error
		if s.array {
			i, ok, err = element(doc, i, s.index)
		} else {
			i, ok, err = member(doc, i, s.key)
		}
		if !ok || err != nil {
			return nil, false
		}
	}
	end, err := skip(doc, i, 0)
	return doc[i:end], err == nil
}

// Valid checks a whole document: one JSON value of RFC 8259 and nothing else.
// The error is a *SyntaxError.
func Valid(doc []byte) error {
	if !utf8.Valid(doc) {
		return invalidUTF8(doc)
	}
	end, err := skip(doc, space(doc, 0), 0)
	if err != nil {
		return err
	}
	if end = space(doc, end); end < len(doc) {
		return unexpected(doc, end, "the end of the document")
	}
	return nil
}

// Elements hands each element of an array, which Valid has passed, to each, whose error
// ends it. They share the array's memory.
func Elements(array []byte, each func(element []byte) error) error {
	i := space(array, 0)
	if i >= len(array) || array[i] != '[' {
		return errors.New("JSON: not an array: " + Describe(array))
	}
	i = space(array, i+1)
	for done := array[i] == ']'; !done; {
		end, err := skip(array, i, 1)
		if err != nil {
			return err
		}
		if err := each(array[i:end]); err != nil {
			return err
		}
		if i, done, err = next(array, end, ']'); err != nil {
			return err
		}
	}
	return nil
}

// Describe says what kind of value a text is, for errors: "an object", "the
// number 12".
func Describe(value []byte) string {
	i := space(value, 0)
	if i >= len(value) {
		return "nothing"
	}
	switch value[i] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f', 'n':
		return string(value[i:])
	}
	return "the number " + string(value[i:])
}

// Text appends what a value says as text: a string without quotes and escapes,
// anything else as it stands. null is false.
func Text(dst, value []byte) (_ []byte, ok bool) {
	switch {
	case len(value) == 0 || value[0] == 'n':
		return dst, false
	case value[0] == '"':
		return unescape(dst, value[1:len(value)-1]), true
	}
	return append(dst, value...), true
}

// member finds where the value of a key starts, in the object at b[i], which
// has been checked; ok is false where there is no such key or no object.
func member(b []byte, i int, want string) (value int, ok bool, err error) {
	if b[i] != '{' {
		return 0, false, nil
	}
	i = space(b, i+1)
	for done := b[i] == '}'; !done; {
		escaped, end, err := quoted(b, i)
		if err != nil {
			return 0, false, err
		}
		key := b[i+1 : end-1]
		if escaped {
			key = unescape(nil, key)
		}
		at, err := colon(b, end)
		if err != nil {
			return 0, false, err
		}
		if string(key) == want {
			return at, true, nil
		}
		if end, err = skip(b, at, 1); err != nil {
			return 0, false, err
		}
		if i, done, err = next(b, end, '}'); err != nil {
			return 0, false, err
		}
	}
	return 0, false, nil
}

// element finds where an element starts, in the array at b[i], which has been checked.
func element(b []byte, i, want int) (value int, ok bool, err error) {
	if b[i] != '[' {
		return 0, false, nil
	}
	var starts []int // of all, where they are counted from the end
	i = space(b, i+1)
	for n, done := 0, b[i] == ']'; !done; n++ {
		if n == want {
			return i, true, nil
		}
		if want < 0 {
			starts = append(starts, i)
		}
		end, err := skip(b, i, 1)
		if err != nil {
			return 0, false, err
		}
		if i, done, err = next(b, end, ']'); err != nil {
			return 0, false, err
		}
	}
	if at := len(starts) + want; want < 0 && at >= 0 {
		return starts[at], true, nil
	}
	return 0, false, nil
}
