package sources

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// CSV reads delimited text files. Quoting follows RFC 4180 and encoding/csv:
// see dialect.
type CSV struct {
	Path       Paths             `yaml:"path" required:"true" scalar:"true" doc:"File to read, or a list of files. A path may hold * ? [ ] and ** (any number of directories); a directory stands for the .csv and .tsv files in it, compressed ones too; s3://bucket/key names objects in the same way; - is standard input. Compression (gzip, zstd, bzip2, xz) is told from the first bytes." example:"data/*.csv.gz"`
	Partitions string            `yaml:"partitions" default:"auto" enum:"auto|off" doc:"Whether directories called name=value become columns at the end, as month and day of month=5/day=1/a.csv. auto takes those below a path that is a directory, or below what comes before the first wildcard of a glob, provided that all files have the same names; where they differ there are no such columns, and a warning. A column in the files wins. Types are those of types, else of the _manifest.json that a sink of rpipe left there, else inferred from all values. off reads the files alone."`
	Manifest   string            `yaml:"manifest" default:"auto" enum:"auto|off" doc:"What the _manifest.json that a sink of rpipe left in a directory means. auto reads exactly the files that it names, and warns of others beside them: so a run that commits, or a compaction, is seen whole or not at all. A file that it names and that is gone is an error. off reads the files that are there. Globs always do."`
	Bounded    bool              `yaml:"bounded" default:"false" doc:"With path - alone: says that standard input has an end, as that of cat file | rpipe has. Without it standard input counts as endless, and a stage that needs all rows before it can end, such as an aggregate without windows, is refused."`
	Header     bool              `yaml:"header" default:"true" doc:"Whether the first record of each file names the columns."`
	Names      []string          `yaml:"names" doc:"Names of the columns in files without a header (header: false); V1, V2, ... where it is not set."`
	Columns    []string          `yaml:"columns" doc:"Columns to keep, in this order; all where it is not set."`
	Types      map[string]string `yaml:"types" doc:"Types of columns by name: bool, int32, int64, double, string, factor, date, timestamp, timestamp[Europe/Berlin], json, difftime[mins]. Columns that are not named here are inferred." example:"{flight: string, time_hour: timestamp[UTC]}"`
	InferRows  int               `yaml:"infer_rows" default:"10240" min:"1" doc:"How many rows are looked at to infer types. A later value that does not fit is an error that says how to mend it."`
	Delimiter  string            `yaml:"delimiter" default:"," doc:"What separates fields: one ASCII character, or the word tab."`
	Quote      string            `yaml:"quote" default:"\"" doc:"What quotes fields: one ASCII character, or the word none."`
	Comment    string            `yaml:"comment" doc:"Lines that begin with this character are skipped."`
	Decimal    string            `yaml:"decimal" default:"." enum:".|," doc:"The decimal mark of numbers."`
	NA         []string          `yaml:"na" scalar:"true" default:"[\"\", NA]" doc:"Texts that mean a missing value. In string columns a quoted field is never missing."`
	Trim       bool              `yaml:"trim" default:"false" doc:"Drop white space around fields that are not quoted. Numbers, dates and booleans never mind it."`
	Skip       int               `yaml:"skip" default:"0" min:"0" doc:"Lines to drop at the beginning of each file, before the header."`
	Encoding   string            `yaml:"encoding" default:"utf-8" enum:"utf-8|latin1|windows-1252|utf-16" doc:"Character encoding. A byte order mark of UTF-8 or UTF-16 is recognised and dropped."`
	Ragged     string            `yaml:"ragged" default:"error" enum:"error|pad" doc:"What a record with too few fields is: error makes it a bad row, pad fills it with missing values. Too many fields are always an error."`
	OnError    string            `yaml:"on_error" default:"stop" enum:"stop|skip|dead_letter" doc:"What to do with a bad row (a value that is not of its column's type, a malformed quote, a wrong number of fields): stop ends the run, skip drops and counts it, dead_letter writes its text and the error to the pipeline's dead_letter."`
	MaxRecord  configs.Size      `yaml:"max_record" default:"16MiB" doc:"The longest record that is accepted. It bounds the memory that a quote which is never closed can take."`
}

var (
	_ Source          = (*CSV)(nil)
	_ configs.Checker = (*CSV)(nil)
	_ Endless         = (*CSV)(nil)
)

// DeadLetters reports whether bad rows go to the dead letter.
func (c *CSV) DeadLetters() bool { return c.OnError == "dead_letter" }

// Endless reports whether the rows may go on for ever.
func (c *CSV) Endless() bool { return slices.Contains(c.Path, "-") && !c.Bounded }

// Check reports settings that do not go together.
func (c *CSV) Check(report func(field, message, hint string)) {
	if _, err := c.dialect(); err != nil {
		report(err.field, err.message, "write one ASCII character in quotes, such as \";\"")
	}
	if c.Header && len(c.Names) > 0 {
		report("names", "names are for files without a header", "set header: false")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Types)) {
		if _, err := textType(name, c.Types[name]); err != nil {
			report("types", err.Error(), "")
		}
	}
	checkDistinct(c.Names, "names", report)
	checkDistinct(c.Columns, "columns", report)
	if c.Bounded && !slices.Contains(c.Path, "-") {
		report("bounded", "files have an end anyway", "bounded is for path: \"-\"")
	}
	if c.MaxRecord > maxRecord {
		report("max_record", "a record cannot be longer than 512MiB", "")
	}
}

func checkDistinct(names []string, field string, report func(field, message, hint string)) {
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] {
			report(field, fmt.Sprintf("column %q is named twice", n), "")
		}
		seen[n] = true
	}
}

// maxRecord is the most that max_record may be: offsets in a chunk have 31 bits.
const maxRecord = 512 << 20

// dialectError is a setting that is not one character.
type dialectError struct{ field, message string }

func (c *CSV) dialect() (*dialect, *dialectError) {
	d := &dialect{trim: c.Trim}
	for _, s := range []struct {
		field, value, fallback string
		to                     *byte
	}{
		{"delimiter", c.Delimiter, ",", &d.comma},
		{"quote", c.Quote, `"`, &d.quote},
		{"comment", c.Comment, "none", &d.comment},
	} {
		v := s.value
		if v == "" {
			v = s.fallback
		}
		switch {
		case v == "none" && s.field != "delimiter":
			continue
		case v == "tab" || v == `\t`:
			v = "\t"
		}
		if len(v) != 1 || v[0] >= 0x80 || v[0] == '\n' || v[0] == '\r' || v[0] == 0 {
			return nil, &dialectError{s.field, fmt.Sprintf("%q is not one ASCII character", v)}
		}
		*s.to = v[0]
	}
	if d.comma == d.quote || d.comma == d.comment || d.quote != 0 && d.quote == d.comment {
		return nil, &dialectError{"delimiter", "delimiter, quote and comment must differ"}
	}
	return d, nil
}

// textType reads the type of a column of text.
func textType(name, s string) (arrow.Field, error) {
	f, err := frame.ParseType(s)
	if err != nil {
		return f, fmt.Errorf("column %q: %w", name, err)
	}
	f.Name = name
	switch frame.KindOf(f) {
	case frame.KindBinary, frame.KindList, frame.KindOther:
		return f, fmt.Errorf("column %q: text cannot be read as %s", name, s)
	}
	return f, nil
}

// Open finds the files, reads the header and infers the types from the first
// file that has rows.
func (c *CSV) Open(ctx context.Context, env *stages.Env, from string) (Reader, error) {
	if env.Plan && slices.Contains(c.Path, "-") {
		return unread{}, nil
	}
	in, err := find(ctx, env, from, search{c.Path, compressedNames(".csv", ".tsv"), c.Partitions, c.Manifest})
	if err != nil {
		return nil, fmt.Errorf("csv: %w", err)
	}
	d, problem := c.dialect()
	if problem != nil {
		return nil, fmt.Errorf("csv: %s: %s", problem.field, problem.message)
	}
	t := newTextReader(ctx, "csv", env, in)
	t.rejects, t.maxRecord, t.live = c.OnError, int(c.MaxRecord), c.Endless()
	if c.Encoding != "" {
		t.charset = c.Encoding
	}
	f := &csvFormat{config: c, dialect: d, reader: t}
	if err := f.settle(ctx); err != nil {
		t.Close()
		return nil, fmt.Errorf("csv: %w", err)
	}
	t.start(f)
	return t, nil
}

// compressedNames adds the suffixes of compressed files.
func compressedNames(suffixes ...string) (all []string) {
	for _, s := range suffixes {
		all = append(all, s, s+".gz", s+".zst", s+".bz2", s+".xz")
	}
	return all
}
