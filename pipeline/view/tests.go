package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/pipeline"
)

// How much of a failure is shown.
const (
	maxDiffs = 5  // rows
	maxCells = 12 // columns of a row; beyond it those that differ
)

// Test prints how a test went: a line, and what is wrong.
func Test(w io.Writer, t pipeline.TestResult) {
	verdict := "ok  "
	if !t.OK {
		verdict = "FAIL"
	}
	fmt.Fprintf(w, "%s  %s (%s)\n", verdict, clean(t.Name), span(t.Elapsed))
	for _, f := range t.Failures {
		lines := strings.Split(strings.TrimRight(f.Message, "\n"), "\n")
		_, within, _ := strings.Cut(f.Path, "].")
		if within != "" {
			within += ": "
		}
		fmt.Fprintf(w, "      %s:%d:%d: %s%s\n", f.File, f.Line, f.Column, within, clean(lines[0]))
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "        %s\n", clean(line))
		}
		for i, d := range f.Rows {
			if i == maxDiffs {
				fmt.Fprintf(w, "        … and %s more\n", counted(int64(len(f.Rows)-i), "row"))
				break
			}
			rowDiff(w, d)
		}
		if len(f.Traceback) > 0 {
			fmt.Fprintln(w, "        R traceback, innermost last:")
			for _, call := range f.Traceback {
				fmt.Fprintf(w, "          %s\n", clean(call))
			}
		}
	}
	for _, n := range t.Notes {
		fmt.Fprintf(w, "      %s\n", clean(n))
	}
}

// rowDiff prints a row's values beside the expected ones.
func rowDiff(w io.Writer, d pipeline.RowDiff) {
	switch d.Kind {
	case pipeline.RowMissing:
		fmt.Fprintf(w, "        expected, and not there: %s\n", oneLine(d.Cells, func(c pipeline.CellDiff) string { return c.Expected }))
		return
	case pipeline.RowUnexpected:
		fmt.Fprintf(w, "        row %d, not expected: %s\n", d.Row, oneLine(d.Cells, func(c pipeline.CellDiff) string { return c.Got }))
		return
	}
	head := []string{fmt.Sprintf("row %d", d.Row), "expected", "got"}
	rows := [][]string{head}
	for _, c := range d.Cells {
		mark := "≠ "
		if c.Same {
			mark = "  "
		}
		if !c.Same || len(d.Cells) <= maxCells {
			rows = append(rows, []string{mark + c.Column, c.Expected, c.Got})
		}
	}
	widths := make([]int, len(head))
	for _, row := range rows {
		for i := range row {
			row[i] = cut(clean(row[i]), 60)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		fmt.Fprintf(w, "        %s\n", strings.TrimRight(line, " "))
	}
}

func oneLine(cells []pipeline.CellDiff, text func(pipeline.CellDiff) string) string {
	parts := make([]string, len(cells))
	for i, c := range cells {
		parts[i] = c.Column + ": " + text(c)
	}
	return cut(clean(strings.Join(parts, ", ")), 160)
}
