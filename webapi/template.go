package webapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Template is text with places for values:
//
//	{name}          the value; a missing one is an error
//	{name?}         nothing, or null in JSON, where it is missing
//	{name?default}  the text default where it is missing
//	{{ and }}       the braces themselves
//
// What a name stands for is the caller's to say. A value is escaped for its
// place, so that it cannot be more than a value there.
type Template struct {
	kind  Kind
	parts []part
}

// Kind says where a template's text goes.
type Kind int

const (
	// URL percent-encodes values in the path and in the query. At the very
	// beginning a value is the beginning of the URL, taken as it is; as part of
	// the host it must look like one.
	URL Kind = iota
	// Header refuses values with line breaks and other control characters.
	Header
	// JSON makes a value between quotes the inside of a JSON string, and any
	// other one a JSON value.
	JSON
	// Query percent-encodes values: text for a URL's query.
	Query
	// Text takes values as they are.
	Text
)

// part is literal text, or a place.
type part struct {
	text  string
	place *Place
}

// Place is where a value goes.
type Place struct {
	Name     string
	Optional bool
	Default  string
	Ref      int // for whoever fills it
	where    where
}

type where int

const (
	asIs where = iota
	urlStart
	urlHost
	urlPath
	urlQuery
	inHeader
	jsonString
	jsonValue
)

// Values are what a template's places are filled with. Each method appends the
// value of a place to dst; false says that it is missing.
type Values interface {
	Text(dst []byte, p *Place) ([]byte, bool)
	JSON(dst []byte, p *Place) ([]byte, bool)
}

// ParseTemplate reads a template. A JSON template must be JSON once values
// stand in it.
func ParseTemplate(text string, kind Kind) (*Template, error) {
	t := &Template{kind: kind}
	if err := t.split(text); err != nil {
		return nil, err
	}
	switch kind {
	case URL:
		t.locate()
	case Query:
		t.all(urlQuery)
	case Header:
		t.all(inHeader)
	case JSON:
		return t, t.quotes()
	}
	return t, nil
}

// split takes the text apart at the places.
func (t *Template) split(text string) error {
	var literal strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			literal.WriteByte(c)
			i += 2
		case c == '}':
			return errors.New("a } without its {; write }} for the brace itself")
		case c != '{':
			literal.WriteByte(c)
			i++
		default:
			end := strings.IndexAny(text[i+1:], "{}")
			if end < 0 || text[i+1+end] == '{' {
				return errors.New("a { without its }; write {{ for the brace itself")
			}
			p, err := parsePlace(text[i+1 : i+1+end])
			if err != nil {
				return err
			}
			if literal.Len() > 0 {
				t.parts = append(t.parts, part{text: literal.String()})
				literal.Reset()
			}
			t.parts = append(t.parts, part{place: p})
			i += end + 2
		}
	}
	if literal.Len() > 0 {
		t.parts = append(t.parts, part{text: literal.String()})
	}
	return nil
}

func parsePlace(text string) (*Place, error) {
	name, fallback, optional := strings.Cut(text, "?")
	p := &Place{Name: strings.TrimSpace(name), Optional: optional, Default: fallback}
	if p.Name == "" {
		return nil, errors.New("{} names nothing; write {{}} for the braces themselves")
	}
	return p, nil
}

// locate finds out in which part of a URL each place is.
func (t *Template) locate() {
	at := urlStart
	before := ""
	for _, p := range t.parts {
		if p.place != nil {
			p.place.where = at
			if at == urlStart { // it has brought a host at least
				at = urlPath
			}
			continue
		}
		before += p.text
		if at == urlStart {
			at = urlHost
		}
		if at == urlHost {
			_, rest, ok := strings.Cut(before, "://")
			if ok && strings.ContainsAny(rest, "/?#") {
				at = urlPath
			}
		}
		if at == urlPath && strings.ContainsAny(p.text, "?#") {
			at = urlQuery
		}
	}
}

func (t *Template) all(w where) {
	for _, p := range t.parts {
		if p.place != nil {
			p.place.where = w
		}
	}
}

// quotes finds out which places are inside of JSON strings, and whether all of it
// is JSON.
func (t *Template) quotes() error {
	inside, escaped := false, false
	var trial strings.Builder
	for _, p := range t.parts {
		if p.place != nil {
			p.place.where = jsonValue
			if inside {
				p.place.where = jsonString
			}
			trial.WriteByte('0')
			continue
		}
		trial.WriteString(p.text)
		for i := range len(p.text) {
			switch c := p.text[i]; {
			case escaped:
				escaped = false
			case inside && c == '\\':
				escaped = true
			case c == '"':
				inside = !inside
			}
		}
	}
	var any json.RawMessage
	if err := json.Unmarshal([]byte(trial.String()), &any); err != nil {
		return fmt.Errorf("is not JSON once values stand in it: %w", err)
	}
	return nil
}

// Places are where values go, in order.
func (t *Template) Places() []*Place {
	var out []*Place
	for _, p := range t.parts {
		if p.place != nil {
			out = append(out, p.place)
		}
	}
	return out
}

// Open reports whether a URL's host is not fixed by the template.
func (t *Template) Open() bool {
	for _, p := range t.parts {
		if p.place != nil && (p.place.where == urlStart || p.place.where == urlHost) {
			return true
		}
	}
	return false
}

// Only reports whether the template is one place and nothing else.
func (t *Template) Only() bool { return len(t.parts) == 1 && t.parts[0].place != nil }

// Append fills the places. The error is about the values, and names the place.
func (t *Template) Append(dst []byte, v Values) ([]byte, error) {
	for _, p := range t.parts {
		if p.place == nil {
			dst = append(dst, p.text...)
			continue
		}
		var err error
		if dst, err = p.place.append(dst, v); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (p *Place) append(dst []byte, v Values) ([]byte, error) {
	start := len(dst)
	if p.where == jsonValue {
		out, ok := v.JSON(dst, p)
		switch {
		case ok:
			return out, nil
		case p.Optional && p.Default != "":
			return appendDefault(dst, p.Default), nil
		}
		return append(dst, "null"...), nil // JSON can say it
	}
	out, ok := v.Text(dst, p)
	if !ok {
		if !p.Optional {
			return nil, fmt.Errorf("{%s} has no value; write {%s?} or {%s?default} if that may be", p.Name, p.Name, p.Name)
		}
		out = append(dst, p.Default...)
	}
	return p.escape(out, start, ok)
}

// appendDefault is a default as a JSON value: a number, true or false, or a string.
func appendDefault(dst []byte, text string) []byte {
	if text[0] != '"' && text[0] != '{' && text[0] != '[' && json.Valid([]byte(text)) {
		return append(dst, text...)
	}
	return appendJSONText(append(dst, '"'), text, '"')
}

// escape makes out[start:], a value as text, fit for its place.
func (p *Place) escape(out []byte, start int, given bool) ([]byte, error) {
	value := string(out[start:])
	refuse := func(why string) ([]byte, error) {
		return nil, fmt.Errorf("{%s} is %q, %s", p.Name, short(value), why)
	}
	switch p.where {
	case urlStart:
		if !strings.HasPrefix(value, "http://") && !strings.HasPrefix(value, "https://") {
			return refuse("which begins no URL: http:// or https:// is missing")
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return refuse("which has characters that no URL has")
		}
		return out, nil
	case urlHost:
		if value == "" || strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") != "" {
			return refuse("which is no part of a host")
		}
		return out, nil
	case urlPath:
		if given && value == "" {
			return refuse("which would ask for another URL")
		}
		if value == "." || value == ".." {
			return refuse("which leads elsewhere in a path")
		}
		return appendPercent(out[:start], value), nil
	case urlQuery:
		return appendPercent(out[:start], value), nil
	case inHeader:
		if !validHeaderValue(value) {
			return refuse("which has characters that a header must not have")
		}
	case jsonString:
		return appendJSONText(out[:start], value, 0), nil
	}
	return out, nil
}

func short(value string) string {
	if len(value) > 60 {
		return strings.ToValidUTF8(value[:60], "") + "…"
	}
	return value
}

const upperHex = "0123456789ABCDEF"

// appendPercent encodes all but the unreserved characters of RFC 3986, section 2.3.
func appendPercent(dst []byte, value string) []byte {
	for i := range len(value) {
		c := value[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// appendJSONText appends text as the inside of a JSON string, and what closes it
// unless that is 0.
func appendJSONText(dst []byte, text string, closing byte) []byte {
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', upperHex[r>>4], upperHex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	if closing != 0 {
		dst = append(dst, closing)
	}
	return dst
}
