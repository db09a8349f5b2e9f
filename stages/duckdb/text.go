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

// exprSpan is expression number expr, which begins at from.
type exprSpan struct {
	expr, from int
	text       string
}

// add appends our own words.
func (t sqlText) add(sql string) sqlText {
	t.sql += sql
	return t
}

// expr appends an expression in parentheses. The line feed ends a comment in it.
func (t sqlText) expr(i int, text string) sqlText {
	span := exprSpan{expr: i, from: len(t.sql) + 1, text: text}
	t.spans = append(t.spans[:len(t.spans):len(t.spans)], span)
	t.sql += "(" + text + "\n)"
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
	e.Line, e.Column, e.Expr = 0, 0, 0
	for _, s := range t.spans {
		if at >= s.from && at <= s.from+len(s.text) {
			e.offset, e.Expr = at-s.from, s.expr
			e.locate(s.text)
			return
		}
	}
	if len(t.spans) > 0 {
		e.Expr = t.spans[0].expr
	}
}
