package configs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file: line and column count from 1, the column in
// characters. A struct field of this type tagged yaml:",position" receives the
// place of its struct: the key that it is the value of, or its list item.
type Position struct{ Line, Column int }

// Problem is one finding of a check.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 where it has no place
	Column  int    `json:"column"` // from 1
	Path    string `json:"path"`   // such as stages[2].map.fun; the message goes on from it
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning,omitempty"`

	text *source // for Format to quote the line; nil where there is none
}

// String is one line: place, path and message, without the hint.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteString(" ")
	}
	return b.String() + p.statement()
}

func (p Problem) statement() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Warning {
		text = "warning: " + text
	}
	return clean(text)
}

// Problems are all findings, in the order of the file.
type Problems []Problem

// Error gives a line for each problem, with its hint.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
		if p.Hint != "" {
			lines[i] += " (" + clean(p.Hint) + ")"
		}
	}
	return strings.Join(lines, "\n")
}

// Errors returns those that are not warnings.
func (ps Problems) Errors() Problems { return ps.where(false) }

// Warnings returns the warnings.
func (ps Problems) Warnings() Problems { return ps.where(true) }

func (ps Problems) where(warning bool) (out Problems) {
	for _, p := range ps {
		if p.Warning == warning {
			out = append(out, p)
		}
	}
	return out
}

// Err returns the errors as an error, nil where there are only warnings.
func (ps Problems) Err() error {
	if errs := ps.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

// Sort orders by file and place, those without a place last, and drops
// repetitions.
func (ps *Problems) Sort() {
	slices.SortStableFunc(*ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(b2i(a.Line == 0), b2i(b.Line == 0)),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
	*ps = slices.Compact(*ps)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// As finds the problems in an error that was wrapped on its way up.
func As(err error) (Problems, bool) {
	var ps Problems
	ok := errors.As(err, &ps)
	return ps, ok
}
