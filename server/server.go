// Package server is rpipe serve: a task queue for R behind a REST API. It opens the
// engine, the store of values, the read model and the queue, runs a worker of its own
// unless told otherwise, and answers by the routes of tasks/api. The command line is its
// user.
package server

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Options are what one server adds to its file.
type Options struct {
	Log      *slog.Logger // nil discards
	Version  string       // of rpipe
	Insecure bool         // listens elsewhere than on loopback without tokens or client certificates
}

// Server serves what a file says. Start makes it, Wait and Close end it.
type Server struct{}

// Start opens everything, then listens: what fails before is an error. ctx ends the
// server at once; DrainLater ends it after the tasks under way.
func Start(ctx context.Context, f *File, o Options) (*Server, error) {
	return nil, errors.New("serve: not yet")
}

// URL is where the server listens.
func (s *Server) URL() string { return "" }

// Grace is how long a drain may take.
func (s *Server) Grace() time.Duration { return 0 }

// DrainLater finishes the tasks under way within the file's grace and ends the server.
// What is not done by then goes back to its queue.
func (s *Server) DrainLater() {}

// Stop ends everything at once.
func (s *Server) Stop(cause error) {}

// Wait returns when the server has ended, and why; nil after a drain.
func (s *Server) Wait() error { return nil }

// Close ends what is left and returns when no process and no goroutine of the server is
// there any more.
func (s *Server) Close() {}
