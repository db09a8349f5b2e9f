package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// frames are the rows as a source gives them. hints are types of columns that
// the rows themselves do not say.
func (r *TestRows) frames(ctx context.Context, env *stages.Env, hints map[string]string) ([]frame.Frame, error) {
	if len(r.Rows) == 0 && r.File == "" {
		return r.empty(hints)
	}
	source, err := r.source(hints)
	if err != nil {
		return nil, err
	}
	reader, err := source.Open(ctx, env, "")
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var all []frame.Frame
	for {
		read, err := reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			if len(all) == 0 && reader.Schema() != nil {
				all = append(all, frame.Empty(reader.Schema()))
			}
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, read.Frame)
	}
}

// empty is no rows of the columns that types names, in the order of their names.
func (r *TestRows) empty(hints map[string]string) ([]frame.Frame, error) {
	types := r.Types
	if len(types) == 0 {
		types = hints
	}
	if len(types) == 0 {
		return nil, nil
	}
	var fields []arrow.Field
	for _, name := range sortedNames(types) {
		field, err := frame.ParseType(types[name])
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		field.Name = name
		fields = append(fields, field)
	}
	return []frame.Frame{frame.Empty(arrow.NewSchema(fields, nil))}, nil
}

// source reads the rows.
func (r *TestRows) source(hints map[string]string) (sources.Source, error) {
	if r.File != "" {
		return r.fileSource()
	}
	types := map[string]string{}
	rows := make([]any, len(r.Rows))
	for i, row := range r.Rows {
		members, _ := row.(configs.Object)
		members = slices.Clone(members)
		for k, m := range members {
			if t, ok := hints[m.Key]; ok {
				types[m.Key] = t
			}
			switch m.Value.(type) {
			case configs.Object, []any:
				b, err := json.Marshal(plainJSON(m.Value))
				if err != nil {
					return nil, fmt.Errorf("row %d, column %q: %w", i+1, m.Key, err)
				}
				members[k].Value = string(b)
				if types[m.Key] == "" {
					types[m.Key] = "json"
				}
			}
		}
		rows[i] = members
	}
	for name, t := range r.Types {
		types[name] = t
	}
	return &sources.Rows{Rows: rows, Types: types}, nil
}

func (r *TestRows) fileSource() (sources.Source, error) {
	paths := sources.Paths{r.File}
	name := r.File
	for _, packed := range []string{".gz", ".zst", ".bz2", ".xz"} {
		name = strings.TrimSuffix(name, packed)
	}
	const record = 16 << 20
	switch filepath.Ext(name) {
	case ".csv", ".tsv":
		c := &sources.CSV{
			Path: paths, Partitions: "off", Manifest: "off", Header: true, Types: r.Types,
			InferRows: frame.Rows, NA: []string{"", "NA"}, MaxRecord: record,
		}
		if filepath.Ext(name) == ".tsv" {
			c.Delimiter = "tab"
		}
		return c, nil
	case ".ndjson", ".jsonl":
		return &sources.NDJSON{
			Path: paths, Partitions: "off", Manifest: "off", Types: r.Types, InferRows: frame.Rows, MaxRecord: record,
		}, nil
	case ".parquet":
		return &sources.Parquet{Path: paths, Partitions: "off", Manifest: "off"}, nil
	}
	return nil, fmt.Errorf("file: %s is no .csv, .tsv, .ndjson, .jsonl or .parquet", r.File)
}

// objects are the rows as they are written in the file, to be compared with.
func (r *TestRows) objects(ctx context.Context, env *stages.Env) ([]configs.Object, error) {
	var all []configs.Object
	if r.File == "" {
		for _, row := range r.Rows {
			o, _ := row.(configs.Object)
			all = append(all, o)
		}
		return all, nil
	}
	fs, err := r.frames(ctx, env, nil)
	if err != nil {
		return nil, err
	}
	for _, f := range fs {
		for i := range int(f.NumRows()) {
			row := make(configs.Object, f.NumCols())
			for k, field := range f.Schema().Fields() {
				row[k] = configs.Member{Key: field.Name, Value: cellValue(field, f.Column(k), i)}
			}
			all = append(all, row)
		}
	}
	return all, nil
}

// typeHints are the types that the file itself declares for the columns that
// enter a part.
func (f *File) typeHints(s spot) map[string]string {
	if s.index < 0 && s.branch < 0 {
		return declaredTypes(f.Source.Use)
	}
	schema := planned(f.Stages, nil)
	if s.branch < 0 {
		schema = planned(f.Stages[:s.index], nil)
	} else if b := f.branches()[s.branch]; s.index > 0 {
		schema = planned(b.stages[:s.index], schema)
	}
	return schemaTypes(schema)
}

// planned follows the columns through stages as far as these say by themselves.
func planned(specs []StageSpec, schema *frame.Schema) *frame.Schema {
	for _, s := range specs {
		if _, reads := s.Use.(stages.Reads); reads {
			schema = nil
			continue
		}
		out, err := s.Use.Plan(schema)
		if err != nil {
			out = nil
		}
		schema = out
	}
	return schema
}

// declaredTypes are those that a source's settings name.
func declaredTypes(source sources.Source) map[string]string {
	var types map[string]string
	var schema configs.Pairs
	switch s := source.(type) {
	case *sources.CSV:
		types = s.Types
	case *sources.NDJSON:
		types, schema = s.Types, s.Schema
	case *sources.HTTP:
		types, schema = s.Types, s.Schema
	case *sources.Rows:
		types = s.Types
	}
	hints := map[string]string{}
	for name, t := range types {
		hints[name] = t
	}
	for _, p := range schema {
		hints[p.Name] = p.Value
	}
	return hints
}

func schemaTypes(s *frame.Schema) map[string]string {
	hints := map[string]string{}
	for _, c := range columns(s) {
		hints[c.Name] = c.Type
	}
	return hints
}
