//go:build cgo

package duckdb

import "errors"

// sqlText is SQL made of expressions of the user's and of our own words around
// them. It knows where each expression stands, so that errors can be told in
// terms of the expression.
type sqlText struct {
	sql   string
	spans []exprSpan
}

// exprSpan says where a part of an expression stands: all of it, as a rule.
type exprSpan struct {
	Named
	from   int // in the text
	at     int // of the part, in the expression
	length int
}

// add appends our own words.
func (t sqlText) add(sql string) sqlText {
	t.sql += sql
	return t
}

// expr appends an expression in parentheses. The line feed ends a comment in it.
func (t sqlText) expr(e Named) sqlText {
	return t.add("(").part(e, 0, len(e.Expr)).add("\n)")
}

// part appends some of an expression, from one offset to another.
func (t sqlText) part(e Named, from, to int) sqlText {
	span := exprSpan{Named: e, from: len(t.sql), at: from, length: to - from}
	t.spans = append(t.spans[:len(t.spans):len(t.spans)], span)
	t.sql += e.Expr[from:to]
	return t
}

// append appends another text.
func (t sqlText) append(u sqlText) sqlText {
	t.spans = t.spans[:len(t.spans):len(t.spans)]
	for _, s := range u.spans {
		s.from += len(t.sql)
		t.spans = append(t.spans, s)
	}
	t.sql += u.sql
	return t
}

// locate gives an error its place in the expression that it is about; none
// where it is not within one.
func (t sqlText) locate(err error) {
	var e *Error
	if !errors.As(err, &e) {
		return
	}
	at := e.offset
	if e.Name == "" && len(t.spans) == 1 {
		e.Name = t.spans[0].Name
	}
	e.Line, e.Column = 0, 0
	for _, s := range t.spans {
		if at >= s.from && at <= s.from+s.length {
			e.offset, e.Name = at-s.from+s.at, s.Name
			e.locate(s.Expr)
			return
		}
	}
}
