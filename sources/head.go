package sources

import (
	"context"
	"fmt"

	"github.com/rpipe-dev/rpipe/frame"
)

// Head reads the first n rows of a Parquet file, fewer where it has fewer. It
// has the file's own columns: those that directories name belong to an input as
// a whole.
func Head(ctx context.Context, path string, n int) (frame.Frame, error) {
	r := &parquetReader{found: &found{}}
	p, err := openParquet(ctx, file{opener: localFile{path: path, name: path}, name: path})
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	defer p.Close()
	if err := r.pick(p); err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	r.schema = p.schema
	out := frame.Empty(p.schema)
	for number := range p.RowGroups() {
		if int(out.NumRows()) >= n {
			break
		}
		var joining error
		err := damaged(func() error {
			return r.readGroup(p, number, 0, position{}, nil, func(read *Read) bool {
				more := frame.Slice(read.Frame, 0, min(int(read.Frame.NumRows()), n-int(out.NumRows())))
				out, joining = frame.Concat(out, more)
				return joining == nil && int(out.NumRows()) < n && ctx.Err() == nil
			})
		})
		for _, e := range []error{joining, ctx.Err()} {
			if err == nil {
				err = e
			}
		}
		if err != nil {
			return nil, fmt.Errorf("parquet: %s: %w", path, err)
		}
	}
	return out, nil
}
