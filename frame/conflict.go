package frame

import (
	"fmt"
	"strings"
)

// ConflictError says that a column does not have the type that is wanted, and
// that no conversion would keep every value.
type ConflictError struct {
	Column string
	Have   string // its type, as TypeName gives it; "" where there is no such column
	Want   string // the type that is wanted; "" where there should be no such column
	Row    int    // first row that stands in the way, from 0; -1 where it is not one row
	Value  string // its value; "" where Row is -1
	Hint   string // how to mend it
}

func (e *ConflictError) Error() string {
	var b strings.Builder
	switch {
	case e.Have == "":
		fmt.Fprintf(&b, "column %q (%s) is missing", e.Column, e.Want)
	case e.Want == "":
		fmt.Fprintf(&b, "column %q (%s) is not expected", e.Column, e.Have)
	case e.Row >= 0:
		fmt.Fprintf(&b, "column %q: %s in row %d (%s) does not fit %s", e.Column, e.Value, e.Row+1, e.Have, e.Want)
	default:
		fmt.Fprintf(&b, "column %q is %s where it was %s", e.Column, e.Have, e.Want)
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}
