package tables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
)

// shared says which keys stand in more than one row of the table.
func (j *joiner) shared(x *index) error {
	const most = 3
	var first []int32 // rows of the keys that come first in the table
	for _, s := range x.slots {
		row := s.row - 1
		if row < 0 || x.next[row] == frame.NoRow {
			continue
		}
		if first = append(first, row); len(first) > 1000 {
			slices.Sort(first)
			first = first[:most]
		}
	}
	slices.Sort(first)
	var shown []string
	for _, row := range first[:min(most, len(first))] {
		shown = append(shown, j.key(int(row))+" in "+rowNumbers(x, row))
	}
	if x.shared > most {
		shown = append(shown, "…")
	}
	keys := "1 key stands"
	if x.shared > 1 {
		keys = fmt.Sprintf("%d keys stand", x.shared)
	}
	return fmt.Errorf("dataset %s: %s in more than one row: %s; say duplicates: first to take the first of them, or duplicates: all for a row of output for each",
		j.from.name, keys, strings.Join(shown, "; "))
}

// key is the key of a row of the table, for people.
func (j *joiner) key(row int) string {
	parts := make([]string, len(j.keys))
	for i, a := range j.keys {
		parts[i] = j.lookup.keys[i].Name + "=" + string(frame.AppendText(nil, a, row, frame.TextOptions{}))
	}
	return strings.Join(parts, ", ")
}

// rowNumbers are the rows of one key, from 1.
func rowNumbers(x *index, row int32) string {
	const most = 3
	var shown []string
	n := 0
	for ; row != frame.NoRow; row = x.next[row] {
		if n++; n <= most {
			shown = append(shown, fmt.Sprint(row+1))
		}
	}
	text := strings.Join(shown, ", ")
	if n > most {
		text += ", …"
	}
	return fmt.Sprintf("%d rows (%s)", n, text)
}
