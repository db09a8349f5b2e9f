// Package tables has the stages that use tables beside the stream: join, which
// looks up rows of one table by keys, and sql, which runs any SELECT over the
// stream and named tables.
//
// A table comes from a [Dataset]: a source of package sources that has an end.
// A join holds its table in memory; one that does not fit into its limit is an
// error that says so. The tables of sql are the SQL engine's, which goes to the
// disk beyond its memory.
package tables

import (
	"context"
	"fmt"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// Dataset is where a table comes from: a path, or a source.
type Dataset struct {
	Path sources.Paths  `yaml:"path" scalar:"true" doc:"File, or list of files, whose format the name tells: .parquet, .csv, .tsv, .ndjson, .jsonl or .rds, text files also with .gz, .zst, .bz2 or .xz. It may be a glob, a directory that has files of one format, and s3://bucket/key." example:"data/weather.parquet"`
	Use  sources.Source `yaml:",component"`
}

// Shorthand implements configs.Shorthander.
func (Dataset) Shorthand() string { return "path" }

// Components implements configs.Union.
func (Dataset) Components() configs.Table { return sources.Table }

// Check implements configs.Checker.
func (d *Dataset) Check(report func(field, message, hint string)) {
	if d.Use != nil {
		d.checkSource(report)
		return
	}
	if _, err := formatOf(d.Path); err != nil && len(d.Path) > 0 {
		report("path", err.Error(), "name the source, such as {csv: {path: "+d.Path[0]+"}}")
	}
	checkRepeatable(d.Path, "path", report)
}

func (d *Dataset) checkSource(report func(field, message, hint string)) {
	name := sources.Table.NameOf(d.Use)
	if e, ok := d.Use.(sources.Endless); ok && e.Endless() {
		report(name, "has no end, and a dataset is read whole before the first row", "")
	}
	if r, ok := d.Use.(interface{ DeadLetters() bool }); ok && r.DeadLetters() {
		report(name, "says on_error: dead_letter, and records of a dataset have none: they are no rows of the pipeline", "say stop or skip")
	}
	checkRepeatable(pathsOf(d.Use), name+".path", report)
}

func checkRepeatable(p sources.Paths, field string, report func(field, message, hint string)) {
	for _, path := range p {
		if path == "-" {
			report(field, "a dataset cannot come from standard input, which can be read once only", "save it to a file first")
		}
	}
}

// pathsOf are the files that a source reads, if it reads files.
func pathsOf(s sources.Source) sources.Paths {
	switch s := s.(type) {
	case *sources.CSV:
		return s.Path
	case *sources.NDJSON:
		return s.Path
	case *sources.Parquet:
		return s.Path
	case *sources.RDS:
		return s.Path
	}
	return nil
}

// name is what messages call it.
func (d *Dataset) name() string {
	paths := d.Path
	if d.Use != nil {
		paths = pathsOf(d.Use)
	}
	switch len(paths) {
	case 0:
		return sources.Table.NameOf(d.Use)
	case 1:
		return paths[0]
	}
	return fmt.Sprintf("%s and %d more", paths[0], len(paths)-1)
}

// key tells datasets apart. Secrets do not show in it, so a dataset that has one
// is like no other.
func (d *Dataset) key() (string, error) {
	text, err := configs.Normalized(d)
	if err != nil {
		return "", err
	}
	if strings.Contains(string(text), "***") {
		return fmt.Sprintf("%p %s", d, text), nil
	}
	return string(text), nil
}

// source is the source that reads it.
func (d *Dataset) source(ctx context.Context, env *stages.Env) (sources.Source, error) {
	if d.Use != nil {
		return d.Use, nil
	}
	format, err := formatOf(d.Path)
	if err != nil {
		return nil, err
	}
	if format == nil {
		if format, err = formatInside(ctx, env, d.Path); err != nil {
			return nil, err
		}
	}
	return format.source(d.Path), nil
}
