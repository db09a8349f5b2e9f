package sources

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
)

// table reads the values of the columns that are wanted: a row for each file.
func (d *directories) table(wanted []string, declared map[string]arrow.Field) (frame.Frame, error) {
	written := d.manifestTypes()
	known := map[string]arrow.Field{}
	for _, name := range d.names {
		if f, ok := declared[name]; ok {
			known[name] = f
		} else if f, ok := written[name]; ok {
			known[name] = f
		}
	}
	in := frame.NewInferrer(d.names, frame.InferOptions{Declared: known})
	for _, row := range d.values {
		in.Sample(row)
	}
	var fields []arrow.Field
	for i, name := range d.names {
		if slices.Contains(wanted, name) {
			fields = append(fields, in.Schema().Field(i))
		}
	}
	b := frame.NewBuilderSize(arrow.NewSchema(fields, nil), len(d.files))
	for k, field := range fields {
		at, c := slices.Index(d.names, field.Name), b.Column(k)
		for i, row := range d.values {
			switch {
			case row[at] == nil:
				c.AppendNull()
			case !c.ParseText(row[at]):
				why := "the text is not UTF-8"
				if _, ok := declared[field.Name]; ok {
					why = "as types or schema say"
				} else if _, ok := written[field.Name]; ok {
					why = "as " + partition.Manifest + " says"
				}
				return nil, fmt.Errorf("%s: its directory says that %s is %s, which is not %s (%s); partitions: off reads the files alone",
					d.files[i].name, field.Name, shown(row[at]), article(frame.TypeName(field)), why)
			}
		}
	}
	return b.Frame()
}

// manifestTypes are the types that the columns had when our sinks wrote them,
// as far as each directory that was searched has a manifest and all agree.
func (d *directories) manifestTypes() map[string]arrow.Field {
	var all map[string]arrow.Field
	seen := map[*root]bool{}
	for _, f := range d.files {
		if f.root == nil || seen[f.root] {
			continue
		}
		seen[f.root] = true
		types := f.root.manifest.types()
		if all == nil {
			all = types
			continue
		}
		for name, field := range all {
			if other, ok := types[name]; !ok || !field.Equal(other) {
				delete(all, name)
			}
		}
	}
	return all
}

// types are those of the columns that the manifest knows.
func (m *manifest) types() map[string]arrow.Field {
	types := map[string]arrow.Field{}
	if m == nil {
		return types
	}
	for _, c := range m.Schema {
		if c.Type == "ordered" {
			c.Type = "factor" // the order of its levels is in no manifest
		}
		if f, err := namedType(c.Name, c.Type); err == nil {
			types[c.Name] = f
		}
	}
	return types
}
