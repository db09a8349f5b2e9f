package sources

import (
	"context"
	"fmt"
	"slices"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/stages"
)

// RDS reads data frames that R saved with saveRDS. R's format has no way to
// read a part: a file is in memory as a whole while its rows are handed out,
// and the next file is not read before they are.
type RDS struct {
	Path       Paths    `yaml:"path" required:"true" scalar:"true" doc:"File to read, or a list of files, each a data frame (tibble, data.table) saved with saveRDS. A path may hold * ? [ ] and **; a directory stands for the .rds files in it; s3://bucket/key names objects in the same way. A whole file is held in memory at a time." example:"data/flights.rds"`
	Partitions string   `yaml:"partitions" default:"auto" enum:"auto|off" doc:"Whether directories called name=value become columns at the end, as month and day of month=5/day=1/a.rds. auto takes those below a path that is a directory, or below what comes before the first wildcard of a glob, provided that all files have the same names; where they differ there are no such columns, and a warning. A column in the files wins. Types are those of the _manifest.json that a sink of rpipe left there, else inferred from all values. off reads the files alone."`
	Manifest   string   `yaml:"manifest" default:"auto" enum:"auto|off" doc:"What the _manifest.json that a sink of rpipe left in a directory means. auto reads exactly the files that it names, and warns of others beside them: so a run that commits, or a compaction, is seen whole or not at all. A file that it names and that is gone is an error. off reads the files that are there. Globs always do."`
	Columns    []string `yaml:"columns" doc:"Columns to keep, in this order; all where it is not set."`
}

var (
	_ Source          = (*RDS)(nil)
	_ configs.Checker = (*RDS)(nil)
)

// Check reports columns that are named twice.
func (s *RDS) Check(report func(field, message, hint string)) {
	checkDistinct(s.Columns, "columns", report)
	if slices.Contains(s.Path, "-") {
		report("path", "an RDS file cannot be read from standard input", "save it first")
	}
}

// Open reads the first file, whose columns the others must have.
func (s *RDS) Open(ctx context.Context, env *stages.Env, from string) (Reader, error) {
	in, err := find(ctx, env, from, search{s.Path, []string{".rds", ".RDS", ".Rds"}, s.Partitions, s.Manifest})
	if err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &rdsReader{found: in, source: s}
	first, err := r.load(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	r.schema = first.Schema()
	if r.added, err = r.dirs.over(r.schema, s.Columns, nil); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if len(in.files) == 1 {
		r.rows = first.NumRows()
	}
	if in.at.File > 0 {
		first = nil
	}
	r.ahead = newAhead(context.WithoutCancel(ctx), 1, func(ctx context.Context, start func(int, job[*Read]) bool) error {
		return r.produce(ctx, start, first)
	})
	return r, nil
}

type rdsReader struct {
	*found
	source  *RDS
	columns []string      // those that the files hold; nil is all
	schema  *frame.Schema // of the files
	added   *partitions
	rows    int64 // of all files; 0 is not known
	ahead   *ahead[*Read]
}

func (r *rdsReader) load(ctx context.Context, i int) (frame.Frame, error) {
	f := r.files[i]
	s, err := f.stream(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	v, err := rdata.Decode(s, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.name, cause(err))
	}
	t, err := frame.FromValue(v)
	if err == nil && r.schema == nil {
		r.dirs = r.dirs.without(names(t.Schema()))
		if r.columns, err = r.dirs.choose(r.source.Columns, names(t.Schema()), f.name); err != nil {
			return nil, err
		}
	}
	if err == nil && r.columns != nil {
		t, err = frame.Select(t, r.columns)
	}
	if err == nil && r.schema != nil {
		t, err = frame.Conform(t, r.schema)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return t, nil
}

// produce has one job: files are read one after another.
func (r *rdsReader) produce(ctx context.Context, start func(int, job[*Read]) bool, first frame.Frame) error {
	start(1, func(ctx context.Context, emit func(*Read) bool) error {
		at := r.at
		for ; at.File < len(r.files); at.File, at.Rows = at.File+1, 0 {
			t := first
			if first = nil; t == nil {
				var err error
				if t, err = r.load(ctx, at.File); err != nil {
					return fmt.Errorf("rds: %w", err)
				}
			}
			at.Path = r.files[at.File].name
			if at.Rows > t.NumRows() {
				return fmt.Errorf("rds: resume: %s has %d rows now, fewer than the %d that were read", at.Path, t.NumRows(), at.Rows)
			}
			if more, err := r.slices(t, &at, emit); !more {
				return err
			}
		}
		return nil
	})
	return nil
}

// slices emits the rows of one file from at on.
func (r *rdsReader) slices(t frame.Frame, at *position, emit func(*Read) bool) (more bool, err error) {
	added := r.added.of(at.File)
	size, rows := r.files[at.File].size, t.NumRows()
	for at.Rows < rows {
		from, to := at.Rows, min(at.Rows+frame.Rows, rows)
		at.Rows, at.Total = to, at.Total+to-from
		part, err := added.add(frame.Slice(t, int(from), int(to)))
		if err != nil {
			return false, fmt.Errorf("rds: %s: %w", at.Path, err)
		}
		if !emit(&Read{Frame: part, Bytes: size*to/rows - size*from/rows, Pos: at.String()}) {
			return false, nil
		}
	}
	return true, nil
}

func (r *rdsReader) Schema() *frame.Schema                   { return r.added.widen(r.schema) }
func (r *rdsReader) Size() Size                              { return Size{Rows: r.rows, Bytes: r.found.Size().Bytes} }
func (r *rdsReader) Next(ctx context.Context) (*Read, error) { return r.ahead.next(ctx) }

// Close waits for a file that is being read: that cannot be interrupted.
func (r *rdsReader) Close() error {
	r.ahead.close()
	return nil
}
