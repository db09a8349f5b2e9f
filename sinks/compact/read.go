package compact

import (
	"context"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
)

// rows are the rows of the files of one directory, in frames of the schema
// that all files have in common. A goroutine opens the next files meanwhile.
type rows struct {
	job    *job
	cancel context.CancelFunc
	opener errgroup.Group
	opened chan sources.Reader
	reader sources.Reader
	nulls  []int64 // by column, in what was read so far
}

// filesAtOnce is how many files one reader takes: it reads ahead in them by
// itself.
const filesAtOnce = 16

func (j *job) read(ctx context.Context, files []*input) *rows {
	r := &rows{job: j, opened: make(chan sources.Reader, 1), nulls: make([]int64, j.schema.files.NumFields())}
	ctx, r.cancel = context.WithCancel(ctx)
	r.opener.Go(func() error {
		defer close(r.opened)
		for _, paths := range alike(files) {
			source := &sources.Parquet{Path: make(sources.Paths, len(paths)), Partitions: "off"}
			for i, p := range paths {
				source.Path[i] = j.place.full(p.path)
			}
			reader, err := source.Open(ctx, j.env, "")
			if err != nil {
				return err
			}
			select {
			case r.opened <- reader:
			case <-ctx.Done():
				reader.Close()
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return r
}

// alike divides files into runs that one reader can read: few, and with the
// same columns.
func alike(files []*input) (runs [][]*input) {
	for i, f := range files {
		last := len(runs) - 1
		if i > 0 && len(runs[last]) < filesAtOnce && (f.schema == files[i-1].schema || slices.Equal(names(f.schema), names(files[i-1].schema))) {
			runs[last] = append(runs[last], f)
		} else {
			runs = append(runs, []*input{f})
		}
	}
	return runs
}

// next is the next frame, or io.EOF.
func (r *rows) next(ctx context.Context) (frame.Frame, error) {
	for {
		if r.reader == nil {
			select {
			case reader, ok := <-r.opened:
				if !ok {
					if err := r.opener.Wait(); err != nil {
						return nil, err
					}
					return nil, io.EOF
				}
				r.reader = reader
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		read, err := r.reader.Next(ctx)
		if err == io.EOF {
			err = r.reader.Close()
			r.reader = nil
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		f, err := r.conform(read.Frame)
		if err != nil {
			return nil, err
		}
		r.job.seen.Read += f.NumRows()
		r.job.tell()
		return f, nil
	}
}

// conform gives a frame all columns of the result.
func (r *rows) conform(f frame.Frame) (frame.Frame, error) {
	want, n := r.job.schema.files, int(f.NumRows())
	if missing := want.NumFields() - int(f.NumCols()); missing > 0 {
		fields, columns := slices.Clone(f.Schema().Fields()), slices.Clone(f.Columns())
		for _, field := range want.Fields() {
			if f.Schema().HasField(field.Name) {
				continue
			}
			c := frame.NewColumn(field, n)
			c.AppendNulls(n)
			a, err := c.Array()
			if err != nil {
				return nil, err
			}
			fields, columns = append(fields, field), append(columns, a)
		}
		f = frame.New(arrow.NewSchema(fields, nil), columns, n)
	}
	f, err := frame.Conform(f, want)
	if err != nil {
		return nil, err
	}
	for i, a := range f.Columns() {
		r.nulls[i] += int64(a.NullN())
	}
	return f, nil
}

// close stops reading and waits for it.
func (r *rows) close() {
	r.cancel()
	for reader := range r.opened {
		reader.Close()
	}
	_ = r.opener.Wait() // next has told of its error, or something else went wrong before
	if r.reader != nil {
		r.reader.Close()
	}
}
