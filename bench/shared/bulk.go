//go:build unix

package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/rpool"
)

// bulk is a pipeline that runs without an end.
type bulk struct {
	run    *pipeline.Run
	cancel context.CancelCauseFunc
}

var errEnough = errors.New("the period is over")

// startBulk starts the pipeline, and returns when it has written its first rows.
func startBulk(ctx context.Context, dir string, pool *rpool.Pool) (*bulk, error) {
	f, problems := pipeline.Load(filepath.Join(dir, "pipeline.yaml"), nil)
	if found := problems.Errors(); len(found) > 0 {
		return nil, errors.New(found[0].String())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	run, err := pipeline.Start(ctx, f, pipeline.Options{Pool: pool, Fresh: true})
	if err != nil {
		cancel(nil)
		return nil, err
	}
	b := &bulk{run, cancel}
	for b.written() == 0 && run.Snapshot().Elapsed < time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	if b.written() == 0 {
		return nil, b.stop(errors.New("the pipeline has written nothing within a minute"))
	}
	return b, nil
}

func (b *bulk) written() int64 {
	s := b.run.Snapshot()
	return s.Written()
}

// stop ends the pipeline, and returns err or what else went wrong.
func (b *bulk) stop(err error) error {
	b.cancel(errEnough)
	if _, e := b.run.Wait(); err == nil && !errors.Is(e, errEnough) {
		err = e
	}
	return err
}
