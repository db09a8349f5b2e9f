package sinks

import (
	"context"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// CSV writes delimited text in UTF-8, by RFC 4180 unless told otherwise. Times
// are ISO 8601, logicals true and false, lists JSON, binary base64.
// A missing value is an empty field by default, and an empty string then "". In
// files of one column a missing value is NA where na is empty, since readers take
// an empty line for none.
type CSV struct {
	Path        string `yaml:"path" required:"true" doc:"A directory for the files, or one file where it ends in .csv, .tsv or .txt, with .gz or .zst behind it where compressed; on disk, or on S3 as s3://bucket/prefix."`
	Header      bool   `yaml:"header" default:"true" doc:"Writes the column names as the first line of each file."`
	Delimiter   string `yaml:"delimiter" default:"," doc:"One character between fields; \\t for a tab."`
	Quote       string `yaml:"quote" default:"needed" enum:"needed|strings|all|none" doc:"Which fields are quoted: those that need it, all text, all fields, or none (a value that needs quotes is then an error)."`
	NA          string `yaml:"na" doc:"How a missing value is written; empty by default. Text that reads the same is quoted."`
	Decimal     string `yaml:"decimal" default:"." enum:".|," doc:"The decimal mark."`
	LineEnding  string `yaml:"line_ending" default:"lf" enum:"lf|crlf" doc:"What ends a line."`
	Compression string `yaml:"compression" default:"auto" enum:"auto|none|gzip|zstd" doc:"Compression of whole files; auto goes by the extension of path."`

	Files `yaml:",inline"`
}

// Open implements Sink.
func (c *CSV) Open(ctx context.Context, env *stages.Env) (Writer, error) {
	return openFiles(ctx, env, c.layout(c.Path), c.format())
}

// csvBases are the extensions of a single file, the default first.
func (c *CSV) csvBases() []string {
	if c.delimiter() == '\t' {
		return []string{".tsv", ".csv", ".txt"}
	}
	return []string{".csv", ".tsv", ".txt"}
}

func (c *CSV) format() *csvFormat {
	f := &csvFormat{header: c.Header, style: csvStyle{
		delimiter: c.delimiter(), quote: c.Quote, na: c.NA, decimal: '.', end: "\n",
	}}
	f.extension, f.codec = textFile(c.Path, c.csvBases(), c.Compression)
	if c.Decimal == "," {
		f.style.decimal = ','
	}
	if c.LineEnding == "crlf" {
		f.style.end = "\r\n"
	}
	return f
}

func (c *CSV) delimiter() byte {
	switch {
	case c.Delimiter == "":
		return ','
	case c.Delimiter == `\t`:
		return '\t'
	}
	return c.Delimiter[0]
}

// OneEpoch implements Single.
func (c *CSV) OneEpoch() bool {
	l := c.layout(c.Path)
	return l.single(c.format().ext())
}

// Check implements configs.Checker.
func (c *CSV) Check(report func(field, message, hint string)) {
	l := c.layout(c.Path)
	l.check(checkTextFile(c.Path, c.csvBases(), c.Compression, report), report)
	if c.Delimiter != "" && c.Delimiter != `\t` && (utf8.RuneCountInString(c.Delimiter) != 1 || c.Delimiter[0] >= utf8.RuneSelf) {
		report("delimiter", "must be one ASCII character", `such as "," ";" "|" or "\t"`)
		return
	}
	if d := c.delimiter(); strings.IndexByte("\"\r\n", d) >= 0 {
		report("delimiter", "must not be a quote or a line break", "")
	} else if c.Decimal == "," && d == ',' {
		report("decimal", "is the delimiter too", `set delimiter: ";"`)
	}
	if strings.ContainsAny(c.NA, "\"\r\n") || strings.IndexByte(c.NA, c.delimiter()) >= 0 {
		report("na", "must not hold a quote, a line break or the delimiter", "")
	}
}

// csvFormat implements format.
type csvFormat struct {
	extension, codec string
	header           bool
	style            csvStyle
}

func (f *csvFormat) name() string               { return "csv" }
func (f *csvFormat) ext() string                { return f.extension }
func (f *csvFormat) chunk() (rows, bytes int64) { return 0, 0 }

func (f *csvFormat) open(w io.Writer, s *frame.Schema, _ []frame.Frame) (encoder, error) {
	t, err := newTextWriter(w, f.codec)
	if err != nil {
		return nil, err
	}
	e := &csvEncoder{textWriter: t, style: f.style}
	if s.NumFields() == 1 && e.style.na == "" {
		e.style.na = "NA"
	}
	if f.header {
		t.buf, err = f.style.appendHeader(t.buf, s)
	}
	return e, err
}
