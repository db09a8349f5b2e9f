package sources

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/frame"
)

// check compares a cursor with the one that a run has saved, or with initial. A
// cursor of another kind is smaller or larger than all others, so that a run would
// leave everything out, or read everything again, and say nothing.
func (s *Since) check(cursor, saved string) error {
	given, err := newCursors(s, cursor)
	if err != nil {
		return err
	}
	like, what := "", ""
	if before, err := newCursors(s, saved); err == nil && before.largest != "" {
		like, what = before.largest, "the cursor on record"
	} else if s.Initial != "" {
		like, what = s.Initial, "incremental.initial"
	}
	kind := cursorKind(given.largest)
	if like == "" || kind == cursorKind(like) || cursorKind(like) == "a text" {
		return nil
	}
	return fmt.Errorf("the cursor %q is %s, and %s is %s, %s: records are compared with it as such", given.largest, kind, what, cursorKind(like), like)
}

// cursorKind is how compareCursors takes a cursor.
func cursorKind(cursor string) string {
	if _, ok := frame.ParseDouble([]byte(cursor)); ok {
		return "a number"
	}
	if _, _, ok := timeOf(cursor); ok {
		return "a time"
	}
	return "a text"
}
