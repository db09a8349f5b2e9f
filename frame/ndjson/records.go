package ndjson

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Records checks a whole JSON document and gives each of its records to each,
// whose error ends it. Path names where they are: keys joined by dots, such as
// "data.items", or "" for the document itself. There must be an array of
// records, or one record. The slices that each gets share doc's memory.
//
// The error is a *SyntaxError, one that names the key that is not there, or
// each's.
func Records(doc []byte, path string, each func(record []byte) error) error {
	if !utf8.Valid(doc) {
		return invalidUTF8(doc)
	}
	start := space(doc, 0)
	end, err := skip(doc, start, 0)
	if err != nil {
		return err
	}
	if k := space(doc, end); k < len(doc) {
		return unexpected(doc, k, "the end of the document")
	}
	var walked []string
	if path != "" {
		for _, key := range strings.Split(path, ".") {
			i, ok, err := member(doc, start, key)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("JSON: no key %q in %s", key, place(walked))
			}
			walked = append(walked, key)
			start = i
		}
	}
	switch doc[start] {
	case '{':
		end, err := skip(doc, start, 0)
		if err != nil {
			return err
		}
		return each(doc[start:end])
	case '[':
		return eachElement(doc, start, each)
	}
	return unexpected(doc, start, "an array of records in "+place(walked))
}

func place(walked []string) string {
	if len(walked) == 0 {
		return "the document"
	}
	return fmt.Sprintf("%q", strings.Join(walked, "."))
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

func eachElement(b []byte, i int, each func(record []byte) error) error {
	i = space(b, i+1)
	for done := b[i] == ']'; !done; {
		end, err := skip(b, i, 1)
		if err != nil {
			return err
		}
		if err := each(b[i:end]); err != nil {
			return err
		}
		if i, done, err = next(b, end, ']'); err != nil {
			return err
		}
	}
	return nil
}
