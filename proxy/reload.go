package proxy

import (
	"context"
	"errors"
	"reflect"
	"slices"
)

// Reload brings up the newest code and lets it take over when all of it works;
// requests go to the old code until then. With a configuration file, that is read
// again too: APIs may come, go and change; what the listener, the pools and the
// log are takes a restart. An API whose code does not work keeps what it had; the
// error says which and why.
func (s *Server) Reload(ctx context.Context) error {
	return s.reload(ctx, func(*API) bool { return true })
}

// changed reloads the APIs that any of paths belongs to, and those whose
// configuration is another.
func (s *Server) changed(ctx context.Context, paths []string) {
	s.log.Info("files have changed", "files", shortened(paths))
	err := s.reload(ctx, func(c *API) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return c.consistsOf(path, s.file) })
	})
	if err != nil && ctx.Err() == nil {
		s.log.Error("the old code goes on: the new one does not work", "error", err)
	}
}

func shortened(paths []string) []string {
	if len(paths) > 5 {
		return append(paths[:5:5], "…")
	}
	return paths
}

// reload reads the file again and has its APIs served. again says which of them are
// loaded afresh though their configuration is the same.
func (s *Server) reload(ctx context.Context, again func(*API) bool) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.asked.Store(false)
	if s.draining.Load() {
		return errors.New("reload: the server is shutting down")
	}
	file, err := s.reread(s.mount.File())
	if err != nil {
		s.fileErr.Store(&err)
		return err
	}
	s.fileErr.Store(nil)
	err = s.mount.Reload(ctx, file, again)
	if ctx.Err() != nil {
		return err
	}
	s.follow(file)
	s.tellStale(file)
	return err
}

// tellStale says what the newest file has otherwise than the server, which takes a
// restart.
func (s *Server) tellStale(now *File) {
	before := s.file
	for _, part := range []struct {
		key         string
		before, now any
	}{
		{"listen", before.Listen, now.Listen}, {"admin", before.Admin, now.Admin}, {"log", before.Log, now.Log},
		{"grace", before.Grace, now.Grace}, {"pools", before.Pools, now.Pools}, {"pipelines", before.Pipelines, now.Pipelines}, {"async", before.Async, now.Async},
		{"error_details", before.ErrorDetails, now.ErrorDetails},
	} {
		if !reflect.DeepEqual(part.before, part.now) {
			s.log.Warn("a reload leaves this as it was when the server started: it takes a restart", "file", now.Path, "key", part.key)
		}
	}
}

func (s *site) slot(name string) *slot {
	for _, c := range s.apis {
		if c.config.Name == name {
			return c
		}
	}
	return nil
}

func same(a, b *API) bool { return reflect.DeepEqual(a, b) }
