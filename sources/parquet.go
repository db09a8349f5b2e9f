package sources

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Parquet reads Parquet files. Types that R and frames do not have come as the
// nearest that holds their values: see leafOf.
type Parquet struct {
	Path       Paths    `yaml:"path" required:"true" scalar:"true" doc:"File to read, or a list of files. A path may hold * ? [ ] and ** (any number of directories); a directory stands for the .parquet files in it, at any depth." example:"data/*.parquet"`
	Partitions string   `yaml:"partitions" default:"auto" enum:"auto|off" doc:"Whether directories called name=value become columns at the end, as month and day of month=5/day=1/a.parquet. auto takes those below a path that is a directory, or below what comes before the first wildcard of a glob, provided that all files have the same names; where they differ there are no such columns, and a warning. A column in the files wins. Types are those of the _manifest.json that a sink of rpipe left there, else inferred from all values. off reads the files alone."`
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
	files, err := p.Path.list(env.Dir, ".parquet", ".parq", ".pq")
	if err != nil {
		return nil, err
	}
	at, err := parsePosition(from, files)
	if err != nil {
		return nil, err
	}
	r := &parquetReader{env: env, files: files, at: at, asked: p.Columns, dirs: directoriesOf(files, p.Partitions, env.Log)}
	// Footers are small: those of a reasonable number of files are read now, for
	// the number of rows and so that a wrong one is known before any work is done.
	const footers = 200
	for i, f := range files {
		if i >= footers || ctx.Err() != nil {
			r.size.Rows = 0
			break
		}
		if err := r.survey(f); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		r.size.Bytes += f.size
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.added, err = r.dirs.over(r.schema, p.Columns, nil); err != nil {
		return nil, err
	}
	r.ahead = newAhead(context.WithoutCancel(ctx), env.Parallel, r.produce)
	return r, nil
}

// survey takes a file's rows and columns into account.
func (r *parquetReader) survey(f file) error {
	p, err := r.pick(f)
	if err != nil {
		return err
	}
	defer p.Close()
	r.size.Rows += p.NumRows()
	if r.schema == nil {
		r.schema = p.schema
		return nil
	}
	if err = r.nothingNew(p); err == nil {
		r.schema, err = unify(r.schema, p.schema)
	}
	if err != nil {
		return fmt.Errorf("%s does not have the columns of %s: %w", f.name, r.files[0].name, err)
	}
	return nil
}

// parquetFile is one open file and where its columns come from.
type parquetFile struct {
	*parquet.File
	os     *os.File
	name   string
	schema *frame.Schema
	leaves []leaf // one for each column of schema
}

func (f *parquetFile) Close() error { return f.os.Close() }

// openParquet reads the footer of a file.
func openParquet(f file) (*parquetFile, error) {
	o, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.name, cause(err))
	}
	p := &parquetFile{os: o, name: f.name}
	if err := damaged(p.load); err != nil {
		o.Close()
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return p, nil
}

func (p *parquetFile) load() error {
	info, err := p.os.Stat()
	if err != nil {
		return cause(err)
	}
	if err := isParquet(p.os, info.Size()); err != nil {
		return err
	}
	p.File, err = parquet.OpenFile(p.os, info.Size(), parquet.SkipPageIndex(true),
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
func isParquet(o *os.File, size int64) error {
	var head, tail [4]byte
	if size > 0 {
		if _, err := o.ReadAt(head[:min(4, size)], 0); err != nil {
			return cause(err)
		}
	}
	switch {
	case size == 0:
		return fmt.Errorf("the file is empty, which no Parquet file is")
	case string(head[:]) != "PAR1" && string(head[:]) != "PARE":
		return fmt.Errorf("not a Parquet file: it begins with %q, not with \"PAR1\"", head[:min(4, size)])
	}
	if _, err := o.ReadAt(tail[:], size-4); err != nil {
		return cause(err)
	}
	if tail != head || size < 12 {
		return fmt.Errorf("the Parquet file is truncated: its end, where the columns are described, is missing (%d bytes are there)", size)
	}
	return nil
}
