package configs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is the text of a file, for quoting it under a problem.
type source struct {
	name  string
	lines []string
	mask  map[int]int // line to the column from which a secret stands in it
}

// lineBreaks makes one of all that the YAML library counts as the end of a line.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

func newSource(name string, data []byte) *source {
	text := strings.TrimPrefix(string(data), "\ufeff")
	lines := strings.Split(lineBreaks.Replace(text), "\n")
	return &source{name: name, lines: lines, mask: map[int]int{}}
}

// problem makes an error at a place of the file. The YAML library puts what is
// missing at the end into a line after the last.
func (s *source) problem(at Position, path, message, hint string) Problem {
	at.Line = min(at.Line, len(s.lines))
	return Problem{File: s.name, Line: at.Line, Column: at.Column, Path: path, Message: message, Hint: hint, text: s}
}

// hide keeps what stands from one place to another out of quotes. A zero end is
// the end of the file.
func (s *source) hide(from, end Position) {
	last := end.Line - 1
	switch {
	case end.Line == 0:
		last = len(s.lines)
	case s.continues(end):
		last = end.Line
	}
	s.cover(from.Line, from.Column)
	for line := from.Line + 1; line <= last; line++ {
		s.cover(line, 1)
	}
}

// continues tells whether something other than an indent stands before a place
// in its line: the end of what began in a line above.
func (s *source) continues(at Position) bool {
	if at.Line > len(s.lines) {
		return false
	}
	line := []rune(s.lines[at.Line-1])
	before := string(line[:min(at.Column-1, len(line))])
	return strings.Trim(before, " \t-?") != ""
}

func (s *source) cover(line, column int) {
	if old, ok := s.mask[line]; !ok || column < old {
		s.mask[line] = column
	}
}

const quoteWidth = 100

// quote returns a line as it can be shown, and the column of the caret in it, 0
// where that part is not shown. Long lines are cut around the caret.
func (s *source) quote(line, column int) (string, int, bool) {
	if s == nil || line < 1 || line > len(s.lines) {
		return "", 0, false
	}
	text := []rune(clean(strings.ToValidUTF8(s.lines[line-1], "\ufffd")))
	if from, ok := s.mask[line]; ok && from-1 <= len(text) {
		text = append(text[:from-1:from-1], []rune(hidden)...)
		column = min(column, from)
	}
	column = min(max(column, 0), len(text)+1)
	if column > quoteWidth*3/4 {
		cut := column - quoteWidth/2
		text, column = append([]rune("…"), text[cut:]...), column-cut+1
	}
	if len(text) > quoteWidth {
		text = append(text[:quoteWidth:quoteWidth], '…')
	}
	return strings.TrimRight(string(text), " "), column, true
}

// last is the number of the last line that is not blank.
func (s *source) last() int {
	n := len(s.lines)
	for n > 0 && strings.TrimSpace(s.lines[n-1]) == "" {
		n--
	}
	return n
}

// unreadable finds the first byte that is not UTF-8, or a control character.
func (s *source) unreadable() (at Position, message string) {
	for i, line := range s.lines {
		column := 0
		for j, r := range line {
			column++
			_, width := utf8.DecodeRuneInString(line[j:])
			switch {
			case r == utf8.RuneError && width == 1:
				return Position{i + 1, column}, "not UTF-8"
			case unicode.IsControl(r) && r != '\t':
				return Position{i + 1, column}, fmt.Sprintf("the control character U+%04X is not allowed", r)
			}
		}
	}
	return Position{}, ""
}
