package duckdb

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error is what DuckDB says about a query or an expression.
type Error struct {
	Kind    string // DuckDB's class of error: Parser, Binder, Catalog, Conversion, Out of Range, Out of Memory, …
	Message string
	Line    int    // place in the query or expression, from 1; 0 where it is not known
	Column  int    // in characters, from 1
	Name    string // of the expression that it is about; "" for a condition or a query

	offset int // in bytes, into the text that DuckDB got; -1 unknown
}

func (e *Error) Error() string {
	var place string
	if e.Name != "" {
		place = e.Name + ": "
	}
	switch {
	case e.Line > 1:
		place += fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	case e.Line == 1:
		place += fmt.Sprintf("column %d: ", e.Column)
	}
	return place + e.Message
}

// RowError reports whether some row's values are to blame, so that the query
// may succeed without that row: a cast that fails, an overflow.
func (e *Error) RowError() bool {
	switch e.Kind {
	case "Conversion", "Out of Range", "Invalid Input", "Mismatch Type", "Decimal", "Divide by Zero":
		return true
	}
	return false
}

// parseError reads an error as DuckDB writes it under errors_as_json, with or
// without the class in front.
func parseError(text string) *Error {
	e := &Error{offset: -1}
	var m struct {
		Kind     string `json:"exception_type"`
		Message  string `json:"exception_message"`
		Subtype  string `json:"error_subtype"`
		Name     string `json:"name"`
		Position string `json:"position"`
	}
	start := strings.IndexByte(text, '{')
	if start < 0 || json.Unmarshal([]byte(text[start:]), &m) != nil || m.Message == "" {
		kind, message, ok := strings.Cut(text, " Error: ")
		if !ok {
			kind, message = "", text
		}
		e.Kind, e.Message = kind, oneLine(message)
		return e
	}
	e.Kind, e.Message = m.Kind, oneLine(m.Message)
	if p, err := strconv.Atoi(m.Position); err == nil {
		e.offset = p
	}
	if m.Subtype == "COLUMN_NOT_FOUND" && m.Name != "" {
		e.Message = fmt.Sprintf("there is no column %q", m.Name)
		if _, candidates, ok := strings.Cut(m.Message, "Candidate bindings: "); ok {
			if near := ownNames(oneLine(candidates)); near != "" {
				e.Message += "; near it: " + near
			}
		}
	}
	if m.Kind == "Out of Memory" {
		e.Message = "out of memory: " + e.Message
	}
	return e
}

// rowNumber is a column of BIGINT that counts an input's rows from 0, for
// queries that must tell them apart. Users never see it.
const rowNumber = "rpipe row number"

// ownNames leaves columns out of a list that only rpipe's queries know.
func ownNames(candidates string) string {
	own := slices.DeleteFunc(strings.Split(candidates, ", "), func(name string) bool { return strings.Contains(name, rowNumber) })
	return strings.Join(own, ", ")
}

var noTable = regexp.MustCompile(`(?s)^table with name (.+) does not exist.*$`)

// nameTables says which tables there are to a query that names none of them.
// DuckDB would suggest those of its own catalog.
func (e *Error) nameTables(names []string) {
	if m := noTable.FindStringSubmatch(e.Message); m != nil && e.Kind == "Catalog" {
		e.Message = fmt.Sprintf("there is no table %q; there is %s", m[1], strings.Join(names, ", "))
	}
}

// oneLine drops DuckDB's advice about settings, which a user cannot reach, and
// puts the rest in one line, in lower case as errors are.
func oneLine(message string) string {
	message, _, _ = strings.Cut(message, "\n\nPossible solutions")
	message, _, _ = strings.Cut(message, "\n\nLINE ")
	message, _, _ = strings.Cut(message, "\nDatabase is launched in in-memory mode")
	var lines []string
	for l := range strings.Lines(message) {
		if l = strings.TrimRight(strings.TrimSpace(l), "!."); l != "" {
			lines = append(lines, l)
		}
	}
	message = strings.Join(lines, "; ")
	message = strings.ReplaceAll(message, ":; ", ": ")
	if first, size := utf8.DecodeRuneInString(message); first < utf8.RuneSelf && size < len(message) && message[1] >= 'a' {
		message = strings.ToLower(message[:1]) + message[1:]
	}
	return message
}

// locate fills Line and Column from the offset into text. It reports whether
// the error is within text.
func (e *Error) locate(text string) bool {
	if e.offset < 0 || e.offset > len(text) {
		return false
	}
	before := text[:e.offset]
	e.Line = 1 + strings.Count(before, "\n")
	e.Column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return true
}
