package compact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/sourcegraph/conc/panics"
	"golang.org/x/sync/errgroup"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
)

// input is one file as its footer describes it.
type input struct {
	listed
	dir    string
	rows   int64
	schema *frame.Schema
	codec  string // as the Parquet sink calls it; "" where it is another one, or several
}

// footersAtOnce is how many files are looked at at the same time: on S3 it is
// round trips that take the time.
const footersAtOnce = 16

// look reads the manifest and the footers of all files.
func (j *job) look(ctx context.Context) error {
	j.step("looking")
	files, err := j.files(ctx)
	if err != nil {
		return err
	}
	j.inputs = make([]*input, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(footersAtOnce)
	for i, f := range files {
		g.Go(func() error {
			in, err := j.inspect(ctx, f)
			var told *Error
			if err != nil && !errors.As(err, &told) {
				err = fmt.Errorf("%s: %w", f.path, err)
			}
			j.inputs[i] = in
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := j.agree(); err != nil {
		return err
	}
	if j.schema, err = schemaOf(j.inputs, j.manifest); err != nil {
		return err
	}
	j.order, err = j.orderBy()
	return err
}

// files are those that the manifest names, in its order; without a manifest
// those that are there.
func (j *job) files(ctx context.Context) ([]listed, error) {
	b, err := j.place.manifest(ctx)
	if err != nil {
		return nil, fmt.Errorf("read _manifest.json: %w", err)
	}
	if b != nil {
		if j.manifest, err = parseManifest(b); err != nil {
			return nil, err
		}
		var files []listed
		for _, f := range j.manifest.Files {
			files = append(files, listed{f.Path, f.Bytes})
		}
		return files, nil
	}
	files, other, err := j.place.list(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(files) == 0 && other != "":
		return nil, &Error{Err: fmt.Errorf("no Parquet file is in it, but %s", other), Hint: "only Parquet files are compacted; a pipeline can read these and write Parquet"}
	case len(files) == 0:
		return nil, &Error{Err: errors.New("no Parquet file is in it")}
	}
	return files, nil
}

// inspect reads the footer of a file.
func (j *job) inspect(ctx context.Context, f listed) (*input, error) {
	r, err := j.place.open(ctx, f.path)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if r.size != f.bytes {
		return nil, fmt.Errorf("it has %d bytes, and %d when it was written: something else has changed it", r.size, f.bytes)
	}
	p, err := footer(r)
	if err != nil {
		return nil, err
	}
	in := &input{listed: f, dir: dirOf(f.path), rows: p.NumRows(), codec: codecOf(p)}
	if in.schema = described(p); in.schema != nil {
		return in, nil
	}
	for _, c := range p.Root().Columns() {
		if err := exact(c); err != nil {
			return nil, &Error{Err: fmt.Errorf("%s: column %q: %w", f.path, c.Name(), err), Hint: "rpipe did not write this file, and would change the column: leave it to the program that wrote it"}
		}
	}
	reader, err := (&sources.Parquet{Path: sources.Paths{j.place.full(f.path)}, Partitions: "off"}).Open(ctx, j.env, "")
	if err != nil {
		return nil, err
	}
	in.schema = reader.Schema()
	return in, reader.Close()
}

// footer reads the description at the end of a file. The decoder trusts what it
// reads: a panic means that the file is damaged.
func footer(r *random) (p *parquet.File, err error) {
	if caught := panics.Try(func() {
		p, err = parquet.OpenFile(r, r.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	}); caught != nil {
		err = fmt.Errorf("%v", caught.Value)
	}
	if err != nil {
		return nil, fmt.Errorf("it is no Parquet file, or damaged: %w", err)
	}
	return p, nil
}

// described is the schema that rpipe wrote into a file of its own, which spares
// reading the file to find it out.
func described(p *parquet.File) *frame.Schema {
	text, ok := p.Lookup(sinks.MetadataKey)
	var m sinks.ParquetMetadata
	if !ok || !strings.HasPrefix(p.Metadata().CreatedBy, "rpipe ") || json.Unmarshal([]byte(text), &m) != nil {
		return nil
	}
	top := p.Root().Columns()
	if len(m.Columns) != len(top) {
		return nil
	}
	fields := make([]arrow.Field, len(top))
	for i, c := range m.Columns {
		f, err := frame.ParseType(c.Type)
		if err != nil || c.Name != top[i].Name() {
			return nil
		}
		meta := f.Metadata.ToMap()
		for k, v := range c.Meta {
			meta[k] = v
		}
		f.Name, f.Metadata = c.Name, arrow.MetadataFrom(meta)
		fields[i] = f
	}
	return arrow.NewSchema(fields, nil)
}

var codecs = map[format.CompressionCodec]string{
	format.Uncompressed: "none", format.Snappy: "snappy", format.Gzip: "gzip", format.Zstd: "zstd", format.Lz4Raw: "lz4",
}

func codecOf(p *parquet.File) string {
	seen := map[string]bool{}
	for _, g := range p.Metadata().RowGroups {
		for _, c := range g.Columns {
			seen[codecs[c.MetaData.Codec]] = true
		}
	}
	if len(seen) != 1 {
		return ""
	}
	for name := range seen {
		return name
	}
	return ""
}

// exact refuses what frames hold only in part: reading and writing it would
// change values or their meaning. Narrower numbers become wider ones.
func exact(c *parquet.Column) error {
	if !c.Leaf() {
		for _, child := range c.Columns() {
			if err := exact(child); err != nil {
				return err
			}
		}
		return nil
	}
	if c.Type().Kind() == parquet.Int96 {
		return errors.New("a timestamp of 96 bits would lose its nanoseconds")
	}
	t := c.Type().LogicalType()
	if t == nil {
		return nil
	}
	switch v := t.Value.(type) {
	case *format.DecimalType:
		return errors.New("a decimal would become a double")
	case *format.UUIDType:
		return errors.New("a UUID would become text")
	case *format.TimeType:
		return errors.New("a time of day would become seconds")
	case *format.TimestampType:
		if _, ok := v.Unit.Value.(*format.NanoSeconds); ok {
			return errors.New("a timestamp would lose its nanoseconds")
		}
	case *format.IntType:
		if v.BitWidth == 64 && !v.IsSigned {
			return errors.New("an unsigned integer of 64 bits would become a double")
		}
	}
	return nil
}

// agree compares the footers with what the manifest says.
func (j *job) agree() error {
	if j.manifest == nil {
		return nil
	}
	for i, f := range j.manifest.Files {
		if rows := j.inputs[i].rows; rows != f.Rows {
			return fmt.Errorf("%s has %d rows, and %d by _manifest.json: something else has changed it", f.Path, rows, f.Rows)
		}
	}
	return nil
}

// names of a schema, in alphabetical order.
func names(s *frame.Schema) []string {
	n := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		n[i] = f.Name
	}
	slices.Sort(n)
	return n
}
