package rdata

import "slices"

// Class is the class attribute of v; nil where it has none (R's class() would
// then make one up from type and dimensions).
func Class(v Value) []string {
	if v == nil {
		return nil
	}
	if c, ok := v.Attributes().Get("class").(*Character); ok {
		return c.Strings()
	}
	return nil
}

// Inherits says whether class is one of v's classes.
func Inherits(v Value, class string) bool {
	return slices.Contains(Class(v), class)
}

// DataFrame makes a data.frame of columns that must have one length and no
// more than one value a row, which is not checked here but by R.
func DataFrame(names []string, cols []Value) *List {
	rows := 0
	if len(cols) > 0 {
		rows = cols[0].Len()
	}
	return &List{Values: cols, Attrs: Attributes{
		{"names", NewCharacter(names)},
		{"class", NewCharacter([]string{"data.frame"})},
		{"row.names", rowNames(rows)},
	}}
}

// rowNames is the compact form of the row names 1 to n: c(NA, -n).
func rowNames(n int) Value {
	return &Integer{Values: []int32{NAInteger, int32(-n)}}
}

// Rows is the number of rows of a data.frame by its row names; ok is false
// where v is not a data.frame.
func Rows(v Value) (n int, ok bool) {
	if !Inherits(v, "data.frame") {
		return 0, false
	}
	switch r := v.Attributes().Get("row.names").(type) {
	case *Integer:
		if len(r.Values) == 2 && r.Values[0] == NAInteger {
			// automatic row names have a negative count, "real" ones a positive
			return max(int(r.Values[1]), -int(r.Values[1])), true
		}
		return r.Len(), true
	case Value:
		return r.Len(), true
	}
	return 0, true
}
