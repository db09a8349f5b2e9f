package sinks

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// table collects the first rows of an output to print them aligned, with the
// columns' types, as R's tibbles are.
type table struct {
	limit  int64
	frames []frame.Frame
	held   int64
	rows   int64
}

// cellWidth is where the text of a cell is cut.
const cellWidth = 40

func (t *table) add(f frame.Frame) {
	if n := min(f.NumRows(), t.limit-t.held); n > 0 || len(t.frames) == 0 {
		t.frames = append(t.frames, frame.Slice(f, 0, int(max(n, 0))))
		t.held += max(n, 0)
	}
	t.rows += f.NumRows()
}

func (t *table) print(w io.Writer) error {
	if len(t.frames) == 0 {
		return nil
	}
	s := t.frames[0].Schema()
	if s.NumFields() == 0 {
		_, err := fmt.Fprintf(w, "%d rows without columns\n", t.rows)
		return err
	}
	columns := make([][]string, s.NumFields())
	for i, f := range s.Fields() {
		columns[i] = []string{f.Name, "<" + frame.TypeName(f) + ">"}
		for _, part := range t.frames {
			for k := range part.Column(i).Len() {
				columns[i] = append(columns[i], cell(part.Column(i), k))
			}
		}
	}
	width := make([]int, len(columns))
	for i := range columns {
		for _, c := range columns[i] {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for line := range columns[0] {
		at := b.Len()
		for i := range columns {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(columns[i][line]))
			if rightAligned(s.Field(i)) {
				b.WriteString(pad + columns[i][line])
			} else {
				b.WriteString(columns[i][line] + pad)
			}
		}
		text := strings.TrimRight(b.String()[at:], " ")
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	var err error
	if more := t.rows - t.held; more > 0 {
		_, err = fmt.Fprintf(w, "# %d more rows\n", more)
	}
	return err
}

// cell is the text of a value on one line, NA for a missing one.
func cell(a arrow.Array, i int) string {
	text := string(frame.AppendText(nil, a, i, frame.TextOptions{Null: "NA"}))
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) > cellWidth {
		text = string([]rune(text)[:cellWidth-1]) + "…"
	}
	return text
}

func rightAligned(f arrow.Field) bool {
	switch frame.KindOf(f) {
	case frame.KindInt32, frame.KindInt64, frame.KindDouble, frame.KindDifftime:
		return true
	}
	return false
}

// Print prints the rows of f as the stdout sink's table.
func Print(w io.Writer, f frame.Frame) error {
	t := &table{limit: f.NumRows()}
	t.add(f)
	return t.print(w)
}
