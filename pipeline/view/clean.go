package view

import (
	"strings"
	"unicode"
)

// Message is an error's text as it may be printed: what R code or data put into
// it cannot move the cursor, change colours or forge a line of its own. Lines
// after the first are indented.
func Message(err error) string {
	lines := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
		if i > 0 {
			lines[i] = "  " + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

// clean replaces what is not printable.
func clean(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, line)
}
