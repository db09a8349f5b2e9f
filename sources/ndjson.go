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
	Path        Paths             `yaml:"path" required:"true" scalar:"true" doc:"File to read, or a list of files. A path may hold * ? [ ] and ** (any number of directories); a directory stands for the .ndjson and .jsonl files in it, compressed ones too; s3://bucket/key names objects in the same way; - is standard input. Compression (gzip, zstd, bzip2, xz) is told from the first bytes." example:"data/*.ndjson.zst"`
	Partitions  string            `yaml:"partitions" default:"auto" enum:"auto|off" doc:"Whether directories called name=value become columns at the end, as month and day of month=5/day=1/a.ndjson. auto takes those below a path that is a directory, or below what comes before the first wildcard of a glob, provided that all files have the same names; where they differ there are no such columns, and a warning. A column in the files wins. Types are those of schema or types, else of the _manifest.json that a sink of rpipe left there, else inferred from all values. off reads the files alone."`
	Manifest    string            `yaml:"manifest" default:"auto" enum:"auto|off" doc:"What the _manifest.json that a sink of rpipe left in a directory means. auto reads exactly the files that it names, and warns of others beside them: so a run that commits, or a compaction, is seen whole or not at all. A file that it names and that is gone is an error. off reads the files that are there. Globs always do."`
	Bounded     bool              `yaml:"bounded" default:"false" doc:"With path - alone: says that standard input has an end, as that of cat file | rpipe has. Without it standard input counts as endless, and a stage that needs all rows before it can end, such as an aggregate without windows, is refused."`
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
	_ Endless         = (*NDJSON)(nil)
)

// DeadLetters reports whether bad rows go to the dead letter.
func (s *NDJSON) DeadLetters() bool { return s.OnError == "dead_letter" }

// Endless reports whether the rows may go on for ever.
func (s *NDJSON) Endless() bool { return slices.Contains(s.Path, "-") && !s.Bounded }

// Check reports settings that do not go together.
func (s *NDJSON) Check(report func(field, message, hint string)) {
	checkTypes(s.Schema, s.Types, report)
	checkDistinct(s.Columns, "columns", report)
	if s.Bounded && !slices.Contains(s.Path, "-") {
		report("bounded", "files have an end anyway", "bounded is for path: \"-\"")
	}
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
	if env.Plan && slices.Contains(s.Path, "-") && len(s.Schema) == 0 {
		return unread{}, nil
	}
	in, err := find(ctx, env, from, search{s.Path, compressedNames(".ndjson", ".jsonl"), s.Partitions, s.Manifest})
	if err != nil {
		return nil, fmt.Errorf("ndjson: %w", err)
	}
	t := newTextReader(ctx, "ndjson", env, in)
	t.rejects, t.maxRecord, t.live = s.OnError, int(s.MaxRecord), s.Endless()
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
	schema *frame.Schema // of the records
	reused *reused[ndjson.Parser]
}

func (f *ndjsonFormat) cutter() cutter { return objectCutter{} }

func (f *ndjsonFormat) begin(*chunker) (parseFunc, error) { return f.parse, nil }

// settle decides the schema: the columns of the records, and of directories.
func (f *ndjsonFormat) settle(ctx context.Context) error {
	s, order, declared, err := f.columns(ctx)
	if err != nil {
		return err
	}
	if len(f.config.Columns) > 0 {
		order = f.config.Columns
		kept, err := f.reader.dirs.choose(order, names(s), f.reader.files[0].name)
		if err != nil {
			return err
		}
		if s, _, err = frame.SelectSchema(s, kept); err != nil {
			return fmt.Errorf("columns: %w", err)
		}
	}
	ignore := f.config.UnknownKeys == "ignore" || len(f.config.Columns) > 0
	f.schema = s
	f.reused = newReused(s, func() *ndjson.Parser { return ndjson.NewParser(s, ndjson.Options{Ignore: ignore}) })
	return f.reader.settle(s, order, declared)
}

// columns are those of the records, the order of all that there are (nil is
// directories last), and the types that the settings declare.
func (f *ndjsonFormat) columns(ctx context.Context) (s *frame.Schema, order []string, declared map[string]arrow.Field, err error) {
	if len(f.config.Schema) == 0 {
		if declared, err = namedTypes(f.config.Types); err != nil {
			return nil, nil, nil, fmt.Errorf("types: %w", err)
		}
		s, err = f.infer(ctx, declared)
		return s, nil, declared, err
	}
	declared = map[string]arrow.Field{}
	shared := false
	for _, p := range f.config.Schema {
		if declared[p.Name], err = namedType(p.Name, p.Value); err != nil {
			return nil, nil, nil, fmt.Errorf("schema: %w", err)
		}
		order = append(order, p.Name)
		shared = shared || f.reader.dirs.has(p.Name)
	}
	if shared { // what the records have is not read from directories
		found, _, err := f.sample(ctx, nil)
		if err != nil {
			return nil, nil, nil, err
		}
		f.reader.dirs = f.reader.dirs.without(names(found))
	}
	var fields []arrow.Field
	for _, name := range order {
		if !f.reader.dirs.has(name) {
			fields = append(fields, declared[name])
		}
	}
	if f.reader.dirs != nil {
		for _, name := range f.reader.dirs.names {
			if _, ok := declared[name]; !ok {
				order = append(order, name)
			}
		}
	}
	return arrow.NewSchema(fields, nil), order, declared, nil
}

func namedTypes(types map[string]string) (map[string]arrow.Field, error) {
	declared := map[string]arrow.Field{}
	for name, t := range types {
		field, err := namedType(name, t)
		if err != nil {
			return nil, err
		}
		declared[name] = field
	}
	return declared, nil
}

func names(s *frame.Schema) []string {
	names := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		names[i] = f.Name
	}
	return names
}

// infer finds the columns of the records. A declared column need not be in the
// sample, unless it is a directory's.
func (f *ndjsonFormat) infer(ctx context.Context, declared map[string]arrow.Field) (*frame.Schema, error) {
	inRecords := maps.Clone(declared)
	maps.DeleteFunc(inRecords, func(name string, _ arrow.Field) bool { return f.reader.dirs.has(name) })
	s, bad, err := f.sample(ctx, inRecords)
	if err != nil {
		return nil, err
	}
	f.reader.dirs = f.reader.dirs.without(names(s))
	switch {
	case s.NumFields() == 0 && bad != nil:
		return nil, fmt.Errorf("no record is a JSON object: %w", bad)
	case s.NumFields() == 0:
		return nil, fmt.Errorf("%s: there is no record, so the columns are not known; give them with schema", f.reader.files[0].name)
	}
	fields := s.Fields()
	for i, field := range fields {
		if d, ok := declared[field.Name]; ok {
			fields[i] = d
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// sample infers columns from the first records. bad is about the first that is
// none, which is met again when it is parsed.
func (f *ndjsonFormat) sample(ctx context.Context, declared map[string]arrow.Field) (s *frame.Schema, bad, err error) {
	inferrer := ndjson.NewInferrer(declared)
	err = f.reader.sample(ctx, f, f.config.InferRows, func(k *chunk) (good int) {
		for _, r := range k.records {
			err := inferrer.Sample(k.buf[r.start:r.end])
			switch {
			case err == nil:
				good++
			case bad == nil:
				bad = f.explain(k, r, err)
			}
		}
		return good
	})
	return inferrer.Schema(), bad, err
}

// parse makes a frame of a chunk; a record that is bad leaves nothing behind in
// the parser.
func (f *ndjsonFormat) parse(k *chunk) (frame.Frame, []*stages.Rejected, error) {
	p := f.reused.get()
	var bad []*stages.Rejected
	first := k.after.Total - int64(len(k.records))
	for i, r := range k.records {
		text := k.buf[r.start:r.end]
		err := p.Append(text)
		if err == nil {
			continue
		}
		err = f.explain(k, r, err)
		if f.config.OnError != "skip" && f.config.OnError != "dead_letter" {
			return nil, nil, err
		}
		bad = append(bad, &stages.Rejected{Raw: bytes.Clone(bytes.TrimSpace(text)), First: first + int64(i), Err: err})
	}
	good := len(k.records) - len(bad)
	if good == 0 {
		f.reused.put(p)
		return nil, bad, nil
	}
	made, err := p.Frame()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.name, err)
	}
	f.reused.put(p)
	if f.schema.NumFields() == 0 { // columns asks for those of directories alone
		made = frame.New(f.schema, nil, good)
	}
	return made, bad, nil
}

// explain places a bad record: file and line, and the character where there is one.
func (f *ndjsonFormat) explain(k *chunk, r record, err error) error {
	line := k.lineOf(int(r.start))
	if syntax, ok := errors.AsType[*ndjson.SyntaxError](err); ok {
		return fmt.Errorf("%s:%d:%d: %w", k.name, line, syntax.Offset+1, err)
	}
	return fmt.Errorf("%s:%d: %w", k.name, line, mended(err))
}

// mended says how a record that does not fit can be read nevertheless.
func mended(err error) error {
	conflict, ok := errors.AsType[*frame.ConflictError](err)
	switch {
	case !ok:
		return err
	case conflict.Want == "":
		return fmt.Errorf("key %q is in no record before (unknown_keys: ignore drops it, schema or a larger infer_rows make it a column)", conflict.Column)
	}
	return fmt.Errorf("column %q: %s is not %s (types: {%s: %s} reads it; on_error: skip or dead_letter leaves the record out)",
		conflict.Column, conflict.Value, article(conflict.Want), conflict.Column, conflict.Have)
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
