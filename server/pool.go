package server

import (
	"fmt"
	"runtime"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/rpool"
)

// most is how many R processes there may be.
func (w *Workers) most() int {
	if w.Max > 0 {
		return w.Max
	}
	return runtime.NumCPU()
}

// reserve is how many of them tasks may not take.
func (f *File) reserve() int {
	w := &f.Workers
	switch {
	case !f.shares():
		return 0
	case w.Reserve != nil:
		return *w.Reserve
	case w.most() > 1:
		return 1
	}
	return 0
}

// priority is that of tasks in their pool: requests of APIs go before them, if any do.
func (f *File) priority() rpool.Priority {
	if f.shares() {
		return rpool.Queued
	}
	return rpool.Interactive
}

// openPool makes the R processes of this machine's tasks, which APIs and pipelines may
// share. None is started yet.
func (s *Server) openPool() error {
	w := &s.file.Workers
	if w.None {
		return nil
	}
	var err error
	s.pool, err = rpool.New(rpool.Options{
		Min: w.Min, Max: w.Max, Reserve: s.file.reserve(), MaxMemory: int64(w.MaxMemory), MaxRequests: w.MaxTasks,
		IdleTimeout: time.Duration(w.IdleTimeout), Log: s.log.With("part", "r"), Output: s.printed,
	})
	if err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	s.metrics.Pool(tasksPool, s.pool)
	return nil
}

// verifier is what policies of APIs look tokens up in; nil where there is no store.
func (s *Server) verifier() front.Tokens {
	if s.tokens == nil {
		return nil
	}
	return tokensOfAPIs{&s.access}
}
