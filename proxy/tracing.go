package proxy

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
	s.tracer, err = trace.New(s.ctx, c, trace.Service{Name: "rpipe-proxy", Version: s.version, Dir: s.file.Dir(), Log: s.log})
	if err != nil {
		return &ConfigError{err}
	}
	return nil
}

// untraced are paths that are asked all the time, and say nothing of an API.
func untraced(path string) bool { return strings.HasPrefix(path, "/__rpipe__/") }
