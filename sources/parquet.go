package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/sourcegraph/conc/iter"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Parquet reads Parquet files. Types that R and frames do not have come as the
// nearest that holds their values: see leafOf.
type Parquet struct {
	Path       Paths    `yaml:"path" required:"true" scalar:"true" doc:"File to read, or a list of files. A path may hold * ? [ ] and ** (any number of directories); a directory stands for the .parquet files in it, at any depth; s3://bucket/key names objects in the same way." example:"data/*.parquet"`
	Partitions string   `yaml:"partitions" default:"auto" enum:"auto|off" doc:"Whether directories called name=value become columns at the end, as month and day of month=5/day=1/a.parquet. auto takes those below a path that is a directory, or below what comes before the first wildcard of a glob, provided that all files have the same names; where they differ there are no such columns, and a warning. A column in the files wins. Types are those of the _manifest.json that a sink of rpipe left there, else inferred from all values. off reads the files alone."`
	Manifest   string   `yaml:"manifest" default:"auto" enum:"auto|off" doc:"What the _manifest.json that a sink of rpipe left in a directory means. auto reads exactly the files that it names, and warns of others beside them: so a run that commits, or a compaction, is seen whole or not at all. A file that it names and that is gone is an error. off reads the files that are there. Globs always do."`
	Columns    []string `yaml:"columns" doc:"Columns to read, in this order; all where it is not set. Columns that are not named cost nothing."`
}

var (
	_ Source          = (*Parquet)(nil)
	_ configs.Checker = (*Parquet)(nil)
)

// Check reports columns that are named twice.
func (p *Parquet) Check(report func(field, message, hint string)) {
	checkDistinct(p.Columns, "columns", report)
	if slices.Contains(p.Path, "-") {
		report("path", "Parquet cannot be read from standard input", "the description of the columns is at the end of the file: save it first")
	}
}

// Open finds the files and reads the schemas; all must have the same columns, whose types
// are widened to what holds all of them.
func (p *Parquet) Open(ctx context.Context, env *stages.Env, from string) (Reader, error) {
	r, err := p.open(ctx, env, from)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	return r, nil
}

func (p *Parquet) open(ctx context.Context, env *stages.Env, from string) (*parquetReader, error) {
	in, err := find(ctx, env, from, search{p.Path, []string{".parquet", ".parq", ".pq"}, p.Partitions, p.Manifest})
	if err != nil {
		return nil, err
	}
	return openFound(ctx, env, in, p.Columns)
}

// openFound reads what was found; no columns are all.
func openFound(ctx context.Context, env *stages.Env, in *found, columns []string) (*parquetReader, error) {
	r := &parquetReader{env: env, found: in, asked: columns}
	if err := r.surveyAll(ctx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var err error
	if r.added, err = r.dirs.over(r.schema, columns, nil); err != nil {
		return nil, err
	}
	r.ahead = newAhead(context.WithoutCancel(ctx), env.Parallel, r.produce)
	return r, nil
}

// surveyAll reads the footers of a reasonable number of files, for the number of
// rows and so that a wrong one is known before any work is done. They are small,
// but some are far away: several are read at once.
func (r *parquetReader) surveyAll(ctx context.Context) error {
	const footers, atOnce = 200, 8
	some := r.files[:min(footers, len(r.files))]
	for files := range slices.Chunk(some, atOnce) {
		if err := r.surveySome(ctx, files); err != nil {
			return err
		}
	}
	if len(some) < len(r.files) {
		r.rows = 0
	}
	return nil
}

func (r *parquetReader) surveySome(ctx context.Context, files []file) error {
	type opening struct {
		*parquetFile
		err error
	}
	all := iter.Mapper[file, opening]{MaxGoroutines: len(files)}.Map(files, func(f *file) (o opening) {
		o.parquetFile, o.err = openParquet(ctx, *f)
		return o
	})
	for _, o := range all {
		if o.err == nil {
			defer o.Close()
		}
	}
	for _, o := range all {
		if o.err != nil {
			return o.err
		}
		if err := r.survey(o.parquetFile); err != nil {
			return err
		}
	}
	return nil
}

// survey takes a file's rows and columns into account.
func (r *parquetReader) survey(p *parquetFile) error {
	if err := r.pick(p); err != nil {
		return err
	}
	r.rows += p.NumRows()
	if r.schema == nil {
		r.schema = p.schema
		return nil
	}
	err := r.nothingNew(p)
	if err == nil {
		r.schema, err = unify(r.schema, p.schema)
	}
	if err != nil {
		return fmt.Errorf("%s does not have the columns of %s: %w", p.name, r.files[0].name, err)
	}
	return nil
}

// parquetFile is one open file and where its columns come from.
type parquetFile struct {
	*parquet.File
	bytes  randomReader
	remote bool // each read of bytes is a request
	name   string
	schema *frame.Schema
	leaves []leaf // one for each column of schema
}

func (f *parquetFile) Close() error { return f.bytes.Close() }

// openParquet reads the footer of a file, which is open until ctx ends.
func openParquet(ctx context.Context, f file) (*parquetFile, error) {
	b, size, err := f.random(ctx)
	if err != nil {
		return nil, err
	}
	_, remote := b.(*objectReader)
	p := &parquetFile{bytes: b, remote: remote, name: f.name}
	if err := damaged(func() error { return p.load(size) }); err != nil {
		b.Close()
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return p, nil
}

func (p *parquetFile) load(size int64) error {
	err := isParquet(p.bytes, size)
	if err != nil {
		return err
	}
	p.File, err = parquet.OpenFile(p.bytes, size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
	if err != nil {
		return fmt.Errorf("the description at the end of the Parquet file is damaged: %w", err)
	}
	return nil
}

// names are the columns of the file.
func (p *parquetFile) names() []string {
	var names []string
	for _, c := range p.Root().Columns() {
		names = append(names, c.Name())
	}
	return names
}

// pick maps the columns that are wanted; nil is all.
func (p *parquetFile) pick(columns []string) error {
	if err := damaged(func() error { return p.mapColumns(columns) }); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

func (p *parquetFile) mapColumns(columns []string) error {
	if columns == nil {
		columns = p.names()
	}
	top := p.Root().Columns()
	described := p.described()
	fields := make([]arrow.Field, len(columns))
	p.leaves = make([]leaf, len(columns))
	for i, name := range columns {
		k := slices.IndexFunc(top, func(c *parquet.Column) bool { return c.Name() == name })
		if k < 0 {
			return fmt.Errorf("no column %q%s", name, didYouMean(name, p.names()))
		}
		l, err := leafOf(top[k])
		if err != nil {
			return fmt.Errorf("column %q: %w; leave it out with columns", name, err)
		}
		l.restore(described[name])
		p.leaves[i] = l
		fields[i] = l.field
	}
	p.schema = arrow.NewSchema(fields, nil)
	return nil
}

// isParquet tells a file that is none, or whose end is missing, from a good one:
// it begins and ends with four letters.
func isParquet(r io.ReaderAt, size int64) error {
	if size == 0 {
		return errors.New("the file is empty, which no Parquet file is")
	}
	const letters, least = 4, 12
	var head, tail [letters]byte
	if size >= least {
		if _, err := r.ReadAt(tail[:], size-letters); err != nil && err != io.EOF {
			return cause(err)
		}
	}
	switch string(tail[:]) {
	case "PAR1":
		return nil
	case "PARE":
		return errors.New("the file is encrypted, which is not read")
	}
	n := min(letters, size)
	if _, err := r.ReadAt(head[:n], 0); err != nil && err != io.EOF {
		return cause(err)
	}
	if string(head[:]) != "PAR1" {
		return fmt.Errorf("not a Parquet file: it begins with %q, not with \"PAR1\"", head[:n])
	}
	return fmt.Errorf("the Parquet file is truncated: its end, where the columns are described, is missing (%d bytes are there)", size)
}
