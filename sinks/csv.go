package sinks

import (
	"context"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// CSV writes delimited text in UTF-8, by RFC 4180 unless told otherwise. Times
// are ISO 8601, logicals true and false, lists JSON, binary base64.
// A missing value is an empty field by default, and an empty string then "". In
// files of one column a missing value is NA where na is empty, since readers take
// an empty line for none.
type CSV struct {
	Path        string       `yaml:"path" required:"true" doc:"A directory for the files, or one file where it ends in .csv, .tsv or .txt, with .gz or .zst behind it where compressed."`
	Header      bool         `yaml:"header" default:"true" doc:"Writes the column names as the first line of each file."`
	Delimiter   string       `yaml:"delimiter" default:"," doc:"One character between fields; \\t for a tab."`
	Quote       string       `yaml:"quote" default:"needed" enum:"needed|strings|all|none" doc:"Which fields are quoted: those that need it, all text, all fields, or none (a value that needs quotes is then an error)."`
	NA          string       `yaml:"na" doc:"How a missing value is written; empty by default. Text that reads the same is quoted."`
	Decimal     string       `yaml:"decimal" default:"." enum:".|," doc:"The decimal mark."`
	LineEnding  string       `yaml:"line_ending" default:"lf" enum:"lf|crlf" doc:"What ends a line."`
	Compression string       `yaml:"compression" default:"auto" enum:"auto|none|gzip|zstd" doc:"Compression of whole files; auto goes by the extension of path."`
	PartitionBy []string     `yaml:"partition_by" doc:"Columns whose values divide the rows into col=value directories, row by row; they are left out of the files."`
	RowsPerFile int64        `yaml:"rows_per_file" doc:"Rows after which the next file begins; 0 is no limit."`
	BytesPer    configs.Size `yaml:"bytes_per_file" doc:"Bytes after which the next file begins; a file may exceed it by one batch; 0 is no limit."`
	MaxOpen     int          `yaml:"max_open_partitions" default:"64" doc:"Files that may be open at once; beyond it the largest is closed and its partition goes on in another file."`
	IfExists    string       `yaml:"if_exists" default:"error" enum:"error|append|replace|replace_partitions" doc:"What to do where the path holds output already."`
}

// Open implements Sink.
func (c *CSV) Open(ctx context.Context, env *stages.Env) (Writer, error) {
	return openFiles(ctx, env, c.layout(), c.format())
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

func (c *CSV) layout() layout {
	return layout{
		path: c.Path, ifExists: c.IfExists, rowsPerFile: c.RowsPerFile, bytesPerFile: int64(c.BytesPer),
		partitionBy: c.PartitionBy, maxOpen: c.MaxOpen,
	}
}

// Check implements configs.Checker.
func (c *CSV) Check(report func(field, message, hint string)) {
	l := c.layout()
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
