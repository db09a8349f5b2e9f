package frame

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Select keeps the named columns in that order. An unknown name is an error
// with "did you mean"; so is a name given twice.
func Select(f Frame, names []string) (Frame, error) {
	s, index, err := SelectSchema(f.Schema(), names)
	if err != nil {
		return nil, err
	}
	cols := make([]arrow.Array, len(index))
	for i, k := range index {
		cols[i] = f.Column(k)
	}
	return New(s, cols, int(f.NumRows())), nil
}

// SelectSchema is the schema of Select's result, and where each column stands in s.
func SelectSchema(s *Schema, names []string) (*Schema, []int, error) {
	fields := make([]arrow.Field, len(names))
	index := make([]int, len(names))
	for i, n := range names {
		k := s.FieldIndices(n)
		if len(k) == 0 {
			return nil, nil, noColumn(s, n)
		}
		if slices.Contains(names[:i], n) {
			return nil, nil, fmt.Errorf("column %q is named twice", n)
		}
		fields[i], index[i] = s.Field(k[0]), k[0]
	}
	return newSchema(s, fields), index, nil
}

// Rename renames columns, old name to new. All names change at once, so two
// columns may swap theirs. An unknown old name is an error, and so is a result
// with two columns of one name.
func Rename(f Frame, names map[string]string) (Frame, error) {
	s, err := RenameSchema(f.Schema(), names)
	if err != nil {
		return nil, err
	}
	return New(s, f.Columns(), int(f.NumRows())), nil
}

// RenameSchema is the schema of Rename's result.
func RenameSchema(s *Schema, names map[string]string) (*Schema, error) {
	olds := make([]string, 0, len(names))
	for old := range names {
		olds = append(olds, old)
	}
	slices.Sort(olds) // the same one of several errors each time
	for _, old := range olds {
		if !s.HasField(old) {
			return nil, noColumn(s, old)
		}
	}
	fields := slices.Clone(s.Fields())
	for i := range fields {
		if to, ok := names[fields[i].Name]; ok {
			fields[i].Name = to
		}
	}
	if d := duplicateNames(fields); len(d) > 0 {
		return nil, fmt.Errorf("rename: two columns would be called %s", strings.Join(d, ", "))
	}
	return newSchema(s, fields), nil
}

// newSchema has the fields and the metadata of s.
func newSchema(s *Schema, fields []arrow.Field) *Schema {
	m := s.Metadata()
	return arrow.NewSchema(fields, &m)
}

func noColumn(s *Schema, name string) error {
	known := make([]string, s.NumFields())
	for i := range known {
		known[i] = s.Field(i).Name
	}
	if hint := didYouMean(name, known); hint != "" {
		return fmt.Errorf("there is no column %q%s", name, hint)
	}
	const most = 20
	if len(known) > most {
		known = append(known[:most], "…")
	}
	return fmt.Errorf("there is no column %q; there are %s", name, strings.Join(known, ", "))
}

// duplicateNames are the names, quoted, that more than one field has.
func duplicateNames(fields []arrow.Field) (quoted []string) {
	seen := make(map[string]int, len(fields))
	for _, f := range fields {
		if seen[f.Name]++; seen[f.Name] == 2 {
			quoted = append(quoted, fmt.Sprintf("%q", f.Name))
		}
	}
	return quoted
}
