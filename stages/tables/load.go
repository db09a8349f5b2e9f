package tables

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// tellEvery is how often the log hears of a dataset that takes long.
const tellEvery = 10 * time.Second

// load is the whole table, with the columns that joins have asked for. It is
// read at the first call.
func (t *opened) load(ctx context.Context, env *stages.Env) (frame.Frame, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table == nil && t.err == nil {
		if t.table, t.err = t.read(ctx, env); t.err != nil {
			t.err = fmt.Errorf("dataset %s: %w", t.name, t.err)
		}
	}
	return t.table, t.err
}

func (t *opened) read(ctx context.Context, env *stages.Env) (f frame.Frame, err error) {
	began := time.Now()
	r, next, err := t.begin(ctx, env, t.wanted())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	p := &pile{names: t.wanted()}
	for {
		f, err := next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.add(f)
		}
		if err != nil {
			return nil, err
		}
		if t.limit > 0 && p.bytes > t.limit {
			return nil, t.tooLarge(p.rows, p.bytes)
		}
	}
	if f, err = p.frame(t.schema); err == nil && env.Log != nil {
		env.Log.Info("loaded the dataset "+t.name, "rows", f.NumRows(), "columns", f.NumCols(),
			"memory", size(frame.Bytes(f)), "took", time.Since(began).Round(time.Millisecond))
	}
	return f, err
}

// tooLarge says what to do about a table that does not fit.
func (t *opened) tooLarge(rows, bytes int64) error {
	of := ""
	if t.size.Rows > rows {
		of = fmt.Sprintf(" of %d", t.size.Rows)
	}
	return fmt.Errorf("it does not fit into max_memory, which is %v: %d rows%s take %s; %s",
		configs.Size(t.limit), rows, of, size(bytes), moreMemory)
}

const moreMemory = "raise max_memory (or the pipeline's memory, of which it is a quarter where it is not set), name fewer columns, or use sql, which goes to the disk"

// begin takes a reader, which the caller closes, and what yields its frames. After
// it the columns are known, for which it may have to read the first frame.
func (t *opened) begin(ctx context.Context, env *stages.Env, columns []string) (sources.Reader, stages.SQLInput, error) {
	r, err := t.take(ctx, env, columns)
	if err != nil {
		return nil, nil, err
	}
	next := t.frames(r, env)
	if t.schema != nil {
		return r, next, nil
	}
	first, err := next(ctx)
	if errors.Is(err, io.EOF) {
		err = errors.New("it has no rows, and its columns are not known: name them in its source")
	}
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	t.schema = first.Schema()
	return r, stages.SQLInput(func(ctx context.Context) (frame.Frame, error) {
		if f := first; f != nil {
			first = nil
			return f, nil
		}
		return next(ctx)
	}), nil
}

// frames is what yields the frames of a reader that have rows, then io.EOF. It
// tells the log how it goes.
func (t *opened) frames(r sources.Reader, env *stages.Env) stages.SQLInput {
	told := time.Now()
	var rows, rejected int64
	return func(ctx context.Context) (frame.Frame, error) {
		for {
			read, err := r.Next(ctx)
			if err != nil {
				if errors.Is(err, io.EOF) && rejected > 0 && env.Log != nil {
					env.Log.Warn("skipped records of the dataset "+t.name, "records", rejected)
				}
				return nil, err
			}
			rejected += int64(len(read.Rejected))
			if read.Frame == nil || read.Frame.NumRows() == 0 {
				continue
			}
			rows += read.Frame.NumRows()
			if time.Since(told) > tellEvery && env.Log != nil {
				told = time.Now()
				env.Log.Info("loading the dataset "+t.name, "rows", rows, "of", t.size.Rows)
			}
			return read.Frame, nil
		}
	}
}

// size is bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
