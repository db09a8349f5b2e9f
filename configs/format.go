package configs

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
)

const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	plain  = "\x1b[0m"
)

// Format writes the problems as a compiler does: place and message, the line of
// the file with a caret under the place, the hint.
//
//	flights.yaml:9:11: stages[2].batch.row: unknown key
//	    9 |   - batch: {row: 1000}
//	      |             ^
//	  hint: did you mean rows?
//
// Values of secrets are not shown.
func (ps Problems) Format(w io.Writer, color bool) error {
	out := bufio.NewWriter(w) // keeps the first error for Flush
	paint := func(code, text string) string {
		if !color {
			return text
		}
		return code + text + plain
	}
	for _, p := range ps {
		mark := red
		if p.Warning {
			mark = yellow
		}
		place := Problem{File: p.File, Line: p.Line, Column: p.Column}.String()
		fmt.Fprintf(out, "%s%s\n", paint(bold, clean(place)), paint(mark, p.statement()))
		if line, column, ok := p.text.quote(p.Line, p.Column); ok {
			fmt.Fprintf(out, "%s%s\n", paint(cyan, fmt.Sprintf("%5d | ", p.Line)), line)
			if column > 0 {
				fmt.Fprintf(out, "%s%s%s\n", paint(cyan, "      | "), strings.Repeat(" ", column-1), paint(mark, "^"))
			}
		}
		if p.Hint != "" {
			fmt.Fprintf(out, "  hint: %s\n", clean(p.Hint))
		}
	}
	return out.Flush()
}

// clean keeps text from the file from moving the cursor or faking lines.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '·'
		}
		return r
	}, text)
}
