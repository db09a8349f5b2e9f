package compact

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// schema is what all files of an output have in common.
type schema struct {
	files      *frame.Schema // of the files
	partitions *frame.Schema // of the directories' names, in their order; nil for none
	whole      *frame.Schema // of the rows: both, in the manifest's order
	added      []string      // columns that some files do not have
	widened    []string      // columns whose type is not the same in all files
}

// schemaOf is the schema that rows of all files conform to.
func schemaOf(inputs []*input, m *manifest) (*schema, error) {
	s := &schema{}
	for _, in := range inputs {
		if s.files == in.schema || s.files != nil && s.files.Equal(in.schema) {
			continue
		}
		if s.files == nil {
			s.files = in.schema
			continue
		}
		grown, err := grow(s.files, in.schema)
		if err != nil {
			return nil, fmt.Errorf("%s does not go with the files before it: %w", in.path, err)
		}
		s.files = grown
	}
	if s.files == nil {
		return nil, &Error{Err: errors.New("the manifest names no file")}
	}
	for _, f := range s.files.Fields() {
		added, widened := false, false
		for _, in := range inputs {
			at := in.schema.FieldIndices(f.Name)
			added = added || len(at) == 0
			widened = widened || len(at) > 0 && frame.TypeName(in.schema.Field(at[0])) != frame.TypeName(f)
		}
		if added {
			s.added = append(s.added, f.Name)
		}
		if widened {
			s.widened = append(s.widened, f.Name)
		}
	}
	var err error
	if s.partitions, err = partitionsOf(inputs, m, s.files); err != nil {
		return nil, err
	}
	s.order(m)
	return s, nil
}

// grow is the schema of rows of both a and b: the columns of a, then those that
// only b has.
func grow(a, b *frame.Schema) (*frame.Schema, error) {
	var inA, inB, added []arrow.Field
	for _, f := range b.Fields() {
		at := a.FieldIndices(f.Name)
		if len(at) == 0 {
			added = append(added, f)
			continue
		}
		inA, inB = append(inA, a.Field(at[0])), append(inB, f)
	}
	shared, err := frame.Unify(arrow.NewSchema(inA, nil), arrow.NewSchema(inB, nil))
	if err != nil {
		return nil, err
	}
	fields := slices.Clone(a.Fields())
	for i, f := range fields {
		at := shared.FieldIndices(f.Name)
		if len(at) == 0 {
			continue
		}
		fields[i] = shared.Field(at[0])
		if frame.KindOf(fields[i]) != frame.KindFactor {
			continue
		}
		if err := joinLevels(&fields[i], inA[at[0]], inB[at[0]]); err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
	}
	return arrow.NewSchema(append(fields, added...), nil), nil
}

// joinLevels gives f the levels of a, then those that only b has. Those of an
// ordered factor must not contradict each other.
func joinLevels(f *arrow.Field, a, b arrow.Field) error {
	la, lb := levels(a), levels(b)
	joined := slices.Clone(la)
	for _, l := range lb {
		if !slices.Contains(la, l) {
			joined = append(joined, l)
		}
	}
	if f.Type.(*arrow.DictionaryType).Ordered {
		switch {
		case inOrder(la, lb):
			joined = lb
		case inOrder(lb, joined):
		default:
			return fmt.Errorf("the order of its levels is %q in one file and %q in another", la, lb)
		}
	}
	text, err := json.Marshal(joined)
	if err != nil {
		return err
	}
	meta := f.Metadata.ToMap()
	meta[frame.MetaLevels] = string(text)
	f.Metadata = arrow.MetadataFrom(meta)
	return nil
}

// levels are those that the field of a factor declares.
func levels(f arrow.Field) (names []string) {
	text, _ := f.Metadata.GetValue(frame.MetaLevels)
	_ = json.Unmarshal([]byte(text), &names)
	return names
}

// inOrder reports whether all has the levels of part, in the same order.
func inOrder(part, all []string) bool {
	for _, l := range part {
		at := slices.Index(all, l)
		if at < 0 {
			return false
		}
		all = all[at+1:]
	}
	return true
}

// same reports whether a file has the columns of the result, with their types
// and in their order. The levels of a factor may differ.
func (s *schema) same(in *input) bool {
	return slices.EqualFunc(s.files.Fields(), in.schema.Fields(), func(a, b arrow.Field) bool {
		return a.Name == b.Name && frame.TypeName(a) == frame.TypeName(b)
	})
}

// order makes the schema of the rows: the columns of the manifest in their order,
// then those that have come since. Runs that append look whether theirs is the same.
func (s *schema) order(m *manifest) {
	all := slices.Clone(s.files.Fields())
	if s.partitions != nil {
		all = append(all, s.partitions.Fields()...)
	}
	place := func(f arrow.Field) int {
		if m == nil {
			return 0
		}
		if at := slices.IndexFunc(m.Schema, func(c column) bool { return c.Name == f.Name }); at >= 0 {
			return at
		}
		return len(m.Schema)
	}
	slices.SortStableFunc(all, func(a, b arrow.Field) int { return place(a) - place(b) })
	s.whole = arrow.NewSchema(all, nil)
}

// columns is the schema for a manifest.
func (s *schema) columns() []column {
	all := make([]column, s.whole.NumFields())
	for i, f := range s.whole.Fields() {
		all[i] = column{f.Name, frame.TypeName(f)}
	}
	return all
}
