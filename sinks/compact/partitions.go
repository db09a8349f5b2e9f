package compact

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
)

// partitionsOf are the columns that the names of the directories say. Their
// types are those of the manifest, else inferred from all values; a type that
// would not write the same names again gives way to string.
func partitionsOf(inputs []*input, m *manifest, files *frame.Schema) (*frame.Schema, error) {
	columns, _ := partition.Parse(inputs[0].path)
	var rows [][][]byte
	for i, in := range inputs {
		c, values := partition.Parse(in.path)
		if strings.Count(in.path, "/") != len(c) || !slices.Equal(c, columns) {
			return nil, &Error{
				Err:  fmt.Errorf("the directories of %s and of %s are not col=value of the same columns", inputs[0].path, in.path),
				Hint: "compact each of them alone",
			}
		}
		if i == 0 || in.dir != inputs[i-1].dir {
			rows = append(rows, values)
		}
	}
	if len(columns) == 0 {
		return nil, nil
	}
	for _, name := range columns {
		if files.HasField(name) {
			return nil, &Error{Err: fmt.Errorf("column %q is in the files and in the names of their directories", name), Hint: "leave these files to the program that wrote them"}
		}
	}
	declared := map[string]arrow.Field{}
	if m != nil {
		for _, c := range m.Schema {
			if f, err := frame.ParseType(c.Type); err == nil && slices.Contains(columns, c.Name) {
				f.Name = c.Name
				declared[c.Name] = f
			}
		}
	}
	infer := frame.NewInferrer(columns, frame.InferOptions{Declared: declared})
	for _, row := range rows {
		infer.Sample(row)
	}
	fields := slices.Clone(infer.Schema().Fields())
	for k, f := range fields {
		if !reversible(f, rows, k) {
			fields[k] = arrow.Field{Name: f.Name, Type: arrow.BinaryTypes.String, Nullable: true}
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// reversible reports whether the texts of column k, read as f, are written as
// they were.
func reversible(f arrow.Field, rows [][][]byte, k int) bool {
	for _, row := range rows {
		if row[k] == nil {
			continue
		}
		c := frame.NewColumn(f, 1)
		if !c.ParseText(row[k]) {
			return false
		}
		a, err := c.Array()
		if err != nil || string(frame.AppendText(nil, a, 0, frame.TextOptions{})) != string(row[k]) {
			return false
		}
	}
	return true
}

// constants are the values of a directory's columns, once for each row.
type constants struct {
	schema *schema
	row    frame.Frame // one row
	many   frame.Frame // as many as have been asked for
}

func newConstants(s *schema, dir string) (*constants, error) {
	c := &constants{schema: s}
	if s.partitions == nil {
		return c, nil
	}
	_, values := partition.Parse(dir + "/file")
	b := frame.NewBuilderSize(s.partitions, 1)
	for k, v := range values {
		if v == nil {
			b.Column(k).AppendNull()
		} else if !b.Column(k).ParseText(v) {
			return nil, fmt.Errorf("directory %s: %q is not of type %s", dir, v, frame.TypeName(s.partitions.Field(k)))
		}
	}
	var err error
	c.row, err = b.Frame()
	return c, err
}

// add puts the columns of the directory and those of the files, in frame f, in
// the order of the whole.
func (c *constants) add(f frame.Frame) (frame.Frame, error) {
	if c.row == nil {
		return frame.New(c.schema.whole, reorder(c.schema.whole, f), int(f.NumRows())), nil
	}
	n := int(f.NumRows())
	if c.many == nil || int(c.many.NumRows()) < n {
		many, err := frame.Take(c.row, make([]int32, n))
		if err != nil {
			return nil, err
		}
		c.many = many
	}
	return frame.New(c.schema.whole, reorder(c.schema.whole, f, frame.Slice(c.many, 0, n)), n), nil
}

// reorder finds the columns of s in frames.
func reorder(s *frame.Schema, frames ...frame.Frame) []arrow.Array {
	columns := make([]arrow.Array, s.NumFields())
	for i, field := range s.Fields() {
		for _, f := range frames {
			if a, _, ok := frame.Lookup(f, field.Name); ok {
				columns[i] = a
			}
		}
	}
	return columns
}
