package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// spool is the durable input of a blocking stage: Parquet files in the run's
// state, written by epoch as a sink's are, and read again after a crash.
type spool struct {
	output
	dir string
	env *stages.Env
	mu  *sync.Mutex // of the run's writers
	old []string    // files of earlier processes
}

// openSpool begins the spool of a stage.
func openSpool(ctx context.Context, dir string, env *stages.Env, mu *sync.Mutex) (*spool, error) {
	config := &sinks.Parquet{
		Path: dir, Compression: "snappy",
		RowGroup: sinks.RowGroup{Rows: 100_000, Bytes: 64 << 20},
		Files:    sinks.Files{IfExists: "append", MaxOpen: 8},
	}
	w, err := config.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	return &spool{output: output{label: "spool." + env.Stage, writer: w}, dir: dir, env: env, mu: mu}, nil
}

// Write implements stages.Spool.
func (s *spool) Write(ctx context.Context, b *stages.Rows) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writer.(sinks.Writer).Write(ctx, b)
}

// show makes what is ready readable: nobody but us looks there.
func (s *spool) show(ctx context.Context) error { return s.publish(ctx) }

// recall makes the files of earlier processes those that Replay reads.
func (s *spool) recall(ctx context.Context) error {
	if err := s.show(ctx); err != nil {
		return err
	}
	for _, p := range s.parts {
		if p.Rows > 0 {
			s.old = append(s.old, s.dir+p.Path)
		}
	}
	slices.Sort(s.old)
	return nil
}

// Replay implements stages.Spool.
func (s *spool) Replay(ctx context.Context, emit func(frame.Frame) error) error {
	if len(s.old) == 0 {
		return nil
	}
	source := &sources.Parquet{Path: s.old, Partitions: "off"}
	r, err := source.Open(ctx, s.env, "")
	if err != nil {
		return s.named(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s.named(err)
		}
		if err := emit(read.Frame); err != nil {
			return err
		}
	}
}
