package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/stages"
)

// NDJSON reads files with a JSON object a line. The grammar is strict: see
// package ndjson.
type NDJSON struct {
	Path        Paths             `yaml:"path" required:"true" scalar:"true" doc:"File to read, or a list of files. A path may hold * ? [ ] and ** (any number of directories); a directory stands for the .ndjson and .jsonl files in it, compressed ones too; - is standard input. Compression (gzip, zstd, bzip2, xz) is told from the first bytes." example:"data/*.ndjson.zst"`
	Schema      configs.Pairs     `yaml:"schema" doc:"All columns in their order, with their types: bool, int32, int64, double, string, json, date, timestamp, timestamp[UTC], list<double> and so on. Inferred where it is not set." example:"{id: int64, at: timestamp[UTC], tags: list<string>}"`
	Types       map[string]string `yaml:"types" doc:"Types of some columns by name; those that are not named here are inferred. Dates and times are strings unless they are named." example:"{at: timestamp[UTC]}"`
	Columns     []string          `yaml:"columns" doc:"Columns to keep, in this order; all where it is not set."`
	UnknownKeys string            `yaml:"unknown_keys" default:"error" enum:"error|ignore" doc:"What a key is that the schema does not have: error makes the record a bad row, ignore drops the key. With columns, keys that are not kept are always dropped."`
	InferRows   int               `yaml:"infer_rows" default:"10240" min:"1" doc:"How many records are looked at to infer columns and types. A later value that does not fit is an error that says how to mend it."`
	OnError     string            `yaml:"on_error" default:"stop" enum:"stop|skip|dead_letter" doc:"What to do with a bad record (not JSON, a value that is not of its column's type, an unknown key): stop ends the run, skip drops and counts it, dead_letter writes its text and the error to the pipeline's dead_letter."`
	MaxRecord   configs.Size      `yaml:"max_record" default:"16MiB" doc:"The longest record that is accepted."`
}

var (
	_ Source          = (*NDJSON)(nil)
	_ configs.Checker = (*NDJSON)(nil)
)

// Check reports settings that do not go together.
func (s *NDJSON) Check(report func(field, message, hint string)) {
	if len(s.Schema) > 0 && len(s.Types) > 0 {
		report("types", "types are for columns that are inferred, and schema names all", "put them into schema")
	}
	for _, p := range s.Schema {
		if _, err := namedType(p.Name, p.Value); err != nil {
			report("schema", err.Error(), "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		if _, err := namedType(name, s.Types[name]); err != nil {
			report("types", err.Error(), "")
		}
	}
	checkDistinct(s.Columns, "columns", report)
	if s.MaxRecord > maxRecord {
		report("max_record", "a record cannot be longer than 512MiB", "")
	}
}

func namedType(name, s string) (arrow.Field, error) {
	f, err := frame.ParseType(s)
	if err != nil {
		return f, fmt.Errorf("column %q: %w", name, err)
	}
	f.Name = name
	return f, nil
}

// Open finds the files and infers the columns from the first file with records.
func (s *NDJSON) Open(ctx context.Context, env *stages.Env, from string) (Reader, error) {
	files, err := s.Path.list(env.Dir, compressedNames(".ndjson", ".jsonl")...)
	if err != nil {
		return nil, fmt.Errorf("ndjson: %w", err)
	}
	at, err := parsePosition(from, files)
	if err != nil {
		return nil, fmt.Errorf("ndjson: %w", err)
	}
	t := newTextReader(ctx, "ndjson", env, files, at, "utf-8", int(s.MaxRecord))
	t.rejects = s.OnError
	f := &ndjsonFormat{config: s, reader: t}
	if err := f.settle(ctx); err != nil {
		t.Close()
		return nil, fmt.Errorf("ndjson: %w", err)
	}
	t.start(f)
	return t, nil
}

// ndjsonFormat is an NDJSON source being read.
type ndjsonFormat struct {
	config *NDJSON
	reader *textReader
	reused *reused[ndjson.Parser]
}

func (f *ndjsonFormat) cutter() cutter { return objectCutter{} }

func (f *ndjsonFormat) begin(*chunker) (parseFunc, error) { return f.parse, nil }

// settle decides the schema.
func (f *ndjsonFormat) settle(ctx context.Context) error {
	var all *frame.Schema
	if len(f.config.Schema) > 0 {
		fields := make([]arrow.Field, len(f.config.Schema))
		for i, p := range f.config.Schema {
			field, err := namedType(p.Name, p.Value)
			if err != nil {
				return fmt.Errorf("schema: %w", err)
			}
			fields[i] = field
		}
		all = arrow.NewSchema(fields, nil)
	} else {
		var err error
		if all, err = f.infer(ctx); err != nil {
			return err
		}
	}
	if len(f.config.Columns) > 0 {
		kept, _, err := frame.SelectSchema(all, f.config.Columns)
		if err != nil {
			return fmt.Errorf("columns: %w", err)
		}
		all = kept
	}
	f.reader.schema = all
	ignore := f.config.UnknownKeys == "ignore" || len(f.config.Columns) > 0
	f.reused = newReused(all, func() *ndjson.Parser { return ndjson.NewParser(all, ndjson.Options{Ignore: ignore}) })
	return nil
}

func (f *ndjsonFormat) infer(ctx context.Context) (*frame.Schema, error) {
	declared := map[string]arrow.Field{}
	for name, t := range f.config.Types {
		field, err := namedType(name, t)
		if err != nil {
			return nil, fmt.Errorf("types: %w", err)
		}
		declared[name] = field
	}
	inferrer := ndjson.NewInferrer(declared)
	rows := 0
	var bad error // the first record that is none
	err := f.reader.sample(ctx, f, func(k *chunk) (bool, error) {
		for _, r := range k.records {
			if err := inferrer.Sample(k.buf[r.start:r.end]); err != nil && bad == nil {
				bad = f.explain(k, r, err) // it is met again when it is parsed
			}
		}
		rows += len(k.records)
		return rows < max(f.config.InferRows, 1), nil
	})
	if err != nil {
		return nil, err
	}
	s := inferrer.Schema()
	switch {
	case s.NumFields() > 0:
		return s, nil
	case bad != nil:
		return nil, fmt.Errorf("no record is a JSON object: %w", bad)
	}
	return nil, fmt.Errorf("%s: there is no record, so the columns are not known; give them with schema", f.reader.files[0].name)
}

// parse makes a frame of a chunk; a record that is bad leaves nothing behind in
// the parser.
func (f *ndjsonFormat) parse(k *chunk) (*parsed, error) {
	p := f.reused.get()
	out := &parsed{}
	first := k.after.Total - int64(len(k.records))
	for i, r := range k.records {
		text := k.buf[r.start:r.end]
		err := p.Append(text)
		if err == nil {
			continue
		}
		err = f.explain(k, r, err)
		if f.config.OnError != "skip" && f.config.OnError != "dead_letter" {
			return nil, err
		}
		out.bad = append(out.bad, &stages.Rejected{Raw: bytes.Clone(bytes.TrimSpace(text)), First: first + int64(i), Err: err})
	}
	if len(out.bad) == len(k.records) {
		f.reused.put(p)
		return out, nil
	}
	var err error
	if out.frame, err = p.Frame(); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	f.reused.put(p)
	return out, nil
}

// explain places a bad record: file and line, and the character where there is one.
func (f *ndjsonFormat) explain(k *chunk, r record, err error) error {
	line := k.lineOf(int(r.start))
	if syntax, ok := errors.AsType[*ndjson.SyntaxError](err); ok {
		return fmt.Errorf("%s:%d:%d: %w", k.name, line, syntax.Offset+1, err)
	}
	conflict, ok := errors.AsType[*frame.ConflictError](err)
	switch {
	case !ok:
		return fmt.Errorf("%s:%d: %w", k.name, line, err)
	case conflict.Want == "":
		return fmt.Errorf("%s:%d: key %q is in no record before (unknown_keys: ignore drops it, schema or a larger infer_rows make it a column)", k.name, line, conflict.Column)
	}
	return fmt.Errorf("%s:%d: column %q: %s is not %s (types: {%s: %s} reads it; on_error: skip or dead_letter leaves the record out)",
		k.name, line, conflict.Column, conflict.Value, article(conflict.Want), conflict.Column, conflict.Have)
}

// objectCutter takes each line that is not blank as a record.
type objectCutter struct{}

func (objectCutter) reset() {}

func (objectCutter) cut(buf []byte, at int, final bool) (record, int, bool) {
	r, end, ok := lineCutter{}.cut(buf, at, final)
	if ok && buf[at] != '{' && len(bytes.TrimSpace(buf[at:end])) == 0 {
		return record{}, end, false
	}
	return r, end, ok
}
