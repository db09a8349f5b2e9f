package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/server/pipelines"
)

// openPipelines reads the directory of pipelines, which openSchedules then has the keeper
// keep.
func (s *Server) openPipelines() error {
	c := s.file.Pipelines
	c.Dir = s.file.below(c.Dir)
	if c.Dir != "" {
		dir, err := filepath.Abs(c.Dir)
		if err != nil {
			return &ConfigError{fmt.Errorf("pipelines.dir: %w", err)}
		}
		c.Dir = dir
	}
	s.pipelines = pipelines.New(pipelines.Options{
		Config: c, Owner: s.access.self, R: s.pool, Metrics: s.metrics, Log: s.log.With("part", "pipelines"),
		Others: s.namesOfSchedules, Targets: s.notify.Names,
		Run: func(ctx context.Context, id string) (schedule.Run, error) { return s.keeper.Run(ctx, id) },
	})
	if _, err := s.pipelines.Load(); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: make it, or name another", err)
		}
		return &ConfigError{err}
	}
	s.scheduleSources = append(s.scheduleSources, s.pipelines.Entries)
	return nil
}

// namesOfSchedules are those of the file.
func (s *Server) namesOfSchedules() []string {
	s.scheduleMu.Lock()
	defer s.scheduleMu.Unlock()
	var names []string
	for _, e := range s.scheduleEntries {
		names = append(names, e.Name)
	}
	if s.keeper == nil { // those of the start are not there yet
		for i := range s.file.Schedules {
			names = append(names, s.file.Schedules[i].Name)
		}
	}
	return names
}

// watchPipelines reads the directory again when its files change.
func (s *Server) watchPipelines() error {
	if s.file.Pipelines.Dir == "" || !s.file.Pipelines.Watch {
		return nil
	}
	s.running.Go(func() {
		if err := s.pipelines.Watch(s.soft, s.renewPipelines); err != nil {
			s.log.Error("changes of pipeline files are noticed at a reload alone", "error", err)
		}
	})
	return nil
}

// renewPipelines gives the keeper what the directory has now.
func (s *Server) renewPipelines() {
	if err := s.renewSchedules(); err != nil {
		s.log.Error("schedules of pipelines are as they were", "error", err)
	}
}

// setPipelines reads the directory again at a reload, and gives its files the new values.
func (s *Server) setPipelines(_ context.Context, next *File) error {
	if next.Pipelines.Dir != s.file.Pipelines.Dir {
		return errors.New("dir: another directory takes a restart")
	}
	s.pipelines.SetValues(next.Pipelines.Values)
	if _, err := s.pipelines.Load(); err != nil {
		return err
	}
	return s.renewSchedules()
}
