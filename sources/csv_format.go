package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// csvFormat is a CSV source being read: what its settings and the first file
// say of all files.
type csvFormat struct {
	config     *CSV
	dialect    *dialect
	reader     *textReader
	na         missing
	transcoded bool // the text is valid UTF-8 by construction
	benches    *reused[workbench]

	fileNames []string // the columns of the first file
	kept      []string // those of them that are wanted, in that order
}

func (f *csvFormat) cutter() cutter { return &csvCutter{dialect: f.dialect} }

// settle reads the header and a sample and decides the schema.
func (f *csvFormat) settle(ctx context.Context) error {
	f.na = newMissing(f.config.NA)
	f.transcoded = f.config.Encoding != "" && f.config.Encoding != "utf-8"
	declared := map[string]arrow.Field{}
	for name, t := range f.config.Types {
		field, err := textType(name, t)
		if err != nil {
			return fmt.Errorf("types: %w", err)
		}
		declared[name] = field
	}
	var inferrer *frame.Inferrer
	err := f.reader.sample(ctx, f, f.config.InferRows, func(k *chunk) int {
		if inferrer == nil {
			inferrer = frame.NewInferrer(f.fileNames, frame.InferOptions{Declared: declared})
		}
		return f.sample(inferrer, k)
	})
	if err != nil {
		return err
	}
	if inferrer == nil {
		inferrer = frame.NewInferrer(f.fileNames, frame.InferOptions{Declared: declared})
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !slices.Contains(f.fileNames, name) && !f.reader.dirs.has(name) {
			return fmt.Errorf("types: no column %q in %s%s", name, f.reader.files[0].name, didYouMean(name, f.fileNames))
		}
	}
	all := inferrer.Schema()
	fields := make([]arrow.Field, len(f.kept))
	for i, name := range f.kept {
		fields[i] = all.Field(slices.Index(f.fileNames, name))
	}
	schema := arrow.NewSchema(fields, nil)
	f.benches = newReused(schema, func() *workbench { return &workbench{builder: frame.NewBuilder(schema)} })
	return f.reader.settle(schema, f.config.Columns, declared)
}

// sample shows the rows of a chunk to the inferrer; malformed ones are met
// again, and told, when they are parsed.
func (f *csvFormat) sample(in *frame.Inferrer, k *chunk) (good int) {
	out := fields{buf: k.buf}
	row := make([][]byte, len(f.fileNames))
	for _, r := range k.records {
		out.spans, out.buf = out.spans[:0], out.buf[:len(k.buf)]
		if r.quoted {
			if bad := f.dialect.split(k.buf, int(r.start), int(r.end), &out); bad != nil {
				continue
			}
		} else {
			f.dialect.plain(k.buf, int(r.start), int(r.end), &out)
		}
		if len(out.spans) != len(row) && (f.config.Ragged != "pad" || len(out.spans) > len(row)) {
			continue
		}
		clear(row)
		for i, s := range out.spans {
			text := bytes.TrimSpace(s.of(out.buf))
			if f.na.is(text) {
				continue
			}
			if f.config.Decimal == "," {
				text = swapDecimal(text)
			}
			row[i] = text
		}
		in.Sample(row)
		good++
	}
	k.buf = out.buf[:len(k.buf)]
	return good
}

// begin reads a file's header and finds the columns of the schema in it.
func (f *csvFormat) begin(c *chunker) (parseFunc, error) {
	if err := c.lines(f.config.Skip); err != nil {
		return nil, err
	}
	names, err := f.header(c)
	if err != nil {
		return nil, err
	}
	if f.fileNames == nil {
		if err := f.adopt(c.in.name, names); err != nil {
			return nil, err
		}
	}
	if err := f.agrees(c.in.name, names); err != nil {
		return nil, err
	}
	p := &csvParser{format: f, width: len(names), take: make([]int, len(f.kept))}
	for i, name := range f.kept {
		p.take[i] = slices.Index(names, name)
	}
	return p.parse, nil
}

// adopt takes the columns of the first file.
func (f *csvFormat) adopt(file string, names []string) error {
	f.reader.dirs = f.reader.dirs.without(names)
	kept, err := f.reader.dirs.choose(f.config.Columns, names, file)
	if err != nil {
		return err
	}
	if f.fileNames, f.kept = names, kept; kept == nil {
		f.kept = names
	}
	seen := map[string]bool{}
	for i, name := range names {
		if seen[name] {
			return fmt.Errorf("%s: two columns are called %q (the second is field %d); rename one, or use header: false, skip: 1 and names", file, name, i+1)
		}
		seen[name] = true
	}
	return nil
}

// agrees checks that a file has the columns of the first one, in any order.
func (f *csvFormat) agrees(file string, names []string) error {
	for _, name := range f.kept {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s: no column %q, which %s has%s", file, name, f.reader.files[0].name, didYouMean(name, names))
		}
	}
	if len(f.config.Columns) > 0 {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(f.fileNames, name) {
			return fmt.Errorf("%s: column %q is not in %s; name the columns to keep with columns", file, name, f.reader.files[0].name)
		}
	}
	return nil
}

// header gives the names of a file's columns.
func (f *csvFormat) header(c *chunker) ([]string, error) {
	if !f.config.Header {
		return f.numbered(c)
	}
	record, line, err := c.one(f.cutter())
	if err == io.EOF {
		return nil, fmt.Errorf("%s: the file is empty, not even a header is there", c.in.name)
	}
	if err != nil {
		return nil, err
	}
	out := fields{buf: bytes.Clone(record)}
	if _, bad := f.dialect.walk(record, 0, true, &out); bad != nil {
		return nil, fmt.Errorf("%s:%d:%d: header: %w", c.in.name, line, bad.at+1, bad.err)
	}
	names := make([]string, len(out.spans))
	for i, s := range out.spans {
		names[i] = strings.TrimSpace(string(s.of(out.buf)))
		if names[i] == "" { // R's write.csv leaves the name of the row names out
			names[i] = fmt.Sprintf("V%d", i+1)
		}
		if !utf8.ValidString(names[i]) {
			return nil, fmt.Errorf("%s:%d: header: name of column %d: %w", c.in.name, line, i+1, errEncoding)
		}
	}
	return names, nil
}

// numbered gives the configured names, or V1, V2, ... as wide as the first record.
func (f *csvFormat) numbered(c *chunker) ([]string, error) {
	if len(f.config.Names) > 0 {
		return f.config.Names, nil
	}
	if f.fileNames != nil {
		return f.fileNames, nil
	}
	record, err := c.peek(f.cutter())
	if err == io.EOF {
		return nil, fmt.Errorf("%s: the file is empty: its columns are not known; give names", c.in.name)
	}
	if err != nil {
		return nil, err
	}
	out := fields{buf: bytes.Clone(record)}
	f.dialect.walk(record, 0, true, &out)
	names := make([]string, len(out.spans))
	for i := range names {
		names[i] = fmt.Sprintf("V%d", i+1)
	}
	return names, nil
}

// missing is the set of texts that mean a missing value.
type missing struct {
	texts   []string
	longest int
}

func newMissing(texts []string) missing {
	m := missing{texts: texts}
	for _, t := range texts {
		m.longest = max(m.longest, len(t))
	}
	if len(texts) == 0 {
		m.longest = -1
	}
	return m
}

func (m *missing) is(b []byte) bool {
	for _, t := range m.texts {
		if string(b) == t {
			return true
		}
	}
	return false
}

var errEncoding = errors.New("the text is not UTF-8; set encoding (latin1 and windows-1252 are common)")

// swapDecimal makes a decimal comma a point, and a point something that is in no number.
func swapDecimal(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		switch c {
		case ',':
			b[i] = '.'
		case '.':
			b[i] = ','
		}
	}
	return b
}

// typeHint says how to mend a value that is not of its column's type.
func typeHint(f arrow.Field, text []byte) string {
	in := frame.NewInferrer([]string{f.Name}, frame.InferOptions{})
	in.Sample([][]byte{text})
	return fmt.Sprintf(" (types: {%s: %s} reads it; so does a larger infer_rows where the type was inferred; on_error: skip or dead_letter leaves the row out)",
		f.Name, frame.TypeName(in.Schema().Field(0)))
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// shown quotes a text for a message, cut where it is long.
func shown(b []byte) string {
	const most = 60
	if len(b) <= most {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q...", b[:most])
}

// didYouMean is the end of a message about an unknown name.
func didYouMean(name string, known []string) string {
	if near := nearest(name, known); len(near) > 0 {
		return fmt.Sprintf("; did you mean %q?", near[0])
	}
	if len(known) <= 12 {
		return "; there are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("; there are %d, such as %s", len(known), strings.Join(known[:8], ", "))
}
