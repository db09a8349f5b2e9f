package server

import (
	"fmt"
	"strings"

	"github.com/rpipe-dev/rpipe/trace"
)

// openTracing connects to the collector of the file, or of the environment.
func (s *Server) openTracing() error {
	c, err := s.file.Tracing.FromEnv()
	if err != nil {
		return &ConfigError{fmt.Errorf("tracing: %w", err)}
	}
	s.tracer, err = trace.New(s.ctx, c, trace.Service{Name: "rpipe-serve", Version: s.version, Dir: s.file.Dir(), Log: s.log.With("part", "tracing")})
	if err != nil {
		return &ConfigError{err}
	}
	return nil
}

// untraced are paths that are asked all the time, and say nothing of anybody's work.
func untraced(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/metrics", "/openapi.json", "/favicon.ico":
		return true
	}
	return strings.HasPrefix(path, "/ui/") || strings.HasPrefix(path, "/debug/")
}
