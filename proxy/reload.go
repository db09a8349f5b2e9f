package proxy

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"
)

// Reload brings up the newest code and lets it take over when all of it works;
// requests go to the old code until then. With a configuration file, that is read
// again too: APIs may come, go and change; what the listener, the pools and the
// log are takes a restart. An API whose code does not work keeps what it had; the
// error says which and why.
func (s *Server) Reload(ctx context.Context) error {
	return s.reload(ctx, func(*api) bool { return true })
}

// changed reloads the APIs that any of paths belongs to, and those whose
// configuration is another.
func (s *Server) changed(ctx context.Context, paths []string) {
	s.log.Info("files have changed", "files", shortened(paths))
	err := s.reload(ctx, func(a *api) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return a.config.consistsOf(path, s.file) })
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

// reload builds another site. again says which APIs are loaded afresh though
// their configuration is the same.
func (s *Server) reload(ctx context.Context, again func(*api) bool) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.asked.Store(false)
	if s.draining.Load() {
		return errors.New("reload: the server is shutting down")
	}
	old := s.router.site.Load()
	file, err := s.reread(old.file)
	if err != nil {
		s.fileErr.Store(&err)
		return err
	}
	s.fileErr.Store(nil)
	next := &site{file: file}
	var errs []error
	var replaced []*api
	kept := map[*api]bool{}
	for i := range file.APIs {
		c := &file.APIs[i]
		before := old.slot(c.Name)
		if before != nil && before.api != nil && before.broken == nil && same(before.api.config, c) && !again(before.api) {
			next.apis = append(next.apis, before)
			kept[before.api] = true
			continue
		}
		now := s.load(ctx, c)
		if now.broken != nil {
			errs = append(errs, now.broken)
			if before != nil && before.api != nil {
				now.api, now.config = before.api, before.config
				kept[before.api] = true
			}
		}
		next.apis = append(next.apis, now)
	}
	if ctx.Err() != nil {
		for _, c := range next.apis {
			if c.api != nil && !kept[c.api] {
				replaced = append(replaced, c.api)
			}
		}
		s.letGo(replaced)
		return context.Cause(ctx)
	}
	s.router.site.Store(next)
	s.follow(file)
	s.tellStale(file)
	for _, c := range old.apis {
		if c.api != nil && !kept[c.api] {
			replaced = append(replaced, c.api)
		}
	}
	s.letGo(replaced)
	for _, c := range next.apis {
		if c.api != nil && !kept[c.api] {
			s.log.Info("new code serves", "api", c.config.Name, "generation", c.api.generation, "took", time.Since(c.api.began).Round(time.Millisecond).String())
		}
	}
	return errors.Join(errs...)
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

// letGo ends generations that nobody is sent to any more, each as soon as its
// last request is answered, at the latest when the server ends.
func (s *Server) letGo(replaced []*api) {
	for _, a := range replaced {
		s.tasks.Go(func() { a.drain(s.ctx, s.log) })
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
