// Package server is rpipe serve: a task queue for R behind a REST API. It opens the
// engine, the store of values, the read model and the queue, runs a worker of its own
// unless told otherwise, and answers by the routes of tasks/api. The command line is its
// user.
//
// What is promised: what was answered with success is kept, with durability always also
// where the power fails. Nobody but the owner, and who may read everybody's tasks, learns
// that a task is there. Who may submit runs code as the user of the workers: that is what
// the server is for, so it refuses to listen where strangers reach it without tokens or
// certificates.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/notify"
	"github.com/rpipe-dev/rpipe/proxy"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/server/dashboard"
	"github.com/rpipe-dev/rpipe/server/pipelines"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/node"
	"github.com/rpipe-dev/rpipe/tasks/queue"
	"github.com/rpipe-dev/rpipe/tokens"
	"github.com/rpipe-dev/rpipe/trace"
)

// Options are what one server adds to its file.
type Options struct {
	Log      *slog.Logger // nil discards
	Version  string       // of rpipe
	Insecure bool         // listens elsewhere than on this machine without tokens or client certificates
	JoinFile string       // where to write what rpipe worker is given on another machine; "" is nowhere
	// Level is that of Log, which a reload changes; nil where it stays.
	Level *slog.LevelVar
	// Reread is the file as it is now, for Reload; nil reads it where it was.
	Reread func() (*File, configs.Problems)
}

// ConfigError says that the file cannot be served as it is.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// ErrDraining is the cause that requests end with when the server does.
var ErrDraining = errors.New("the server is shutting down")

// Server serves what a file says. Start makes it, Wait and Close end it.
type Server struct {
	file    *File
	log     *slog.Logger
	version string
	started time.Time
	data    string // directory
	ctx     context.Context
	cancel  context.CancelCauseFunc

	lock      *os.File
	tokens    *tokens.Store  // nil for none
	sessions  *session.Store // of browsers; nil where there are no tokens
	audit     *audit.Log     // nil for none
	notify    *notify.Notifier
	front     *front.Front
	cluster   *broker.Cluster // nil unless workers elsewhere reach the embedded engine
	broker    *broker.Broker
	blobs     *blob.Store
	index     *index.Index
	queue     *queue.Queue
	pool      *rpool.Pool // nil without workers of its own
	node      *node.Node
	keeper    *keeper.Keeper // of schedules
	pipelines *pipelines.Set

	scheduleMu      sync.Mutex // over what follows, and what the keeper is given
	scheduleEntries []keeper.Entry
	scheduleSources []func() []keeper.Entry // of those beside the file's

	metrics  *metrics.Registry
	meters   *meters
	printer  atomic.Pointer[node.Node] // who knows what R runs; nil before there is a worker
	pulse    pulse
	behind   lag             // of the index
	tracer   *trace.Tracer   // nil traces nothing
	recorder *admin.Recorder // of all requests
	apis     *proxy.Mount
	limits   atomic.Pointer[Limits] // of the newest file
	access   access
	streams  places // of requests that last

	series    *series
	dashboard *dashboard.Dashboard // nil for none
	inner     http.Handler         // what its pages ask

	options   Options
	reloading sync.Mutex // over held, and what follows from it
	held      *File      // what holds: file, with what reloads have changed

	draining atomic.Bool
	drained  sync.Once
	soft     context.Context // ends when a drain begins: of requests that last
	soften   context.CancelCauseFunc
	served   chan error // what serving ended with
	running  conc.WaitGroup
	nodeDone chan struct{} // closed when the node has ended
	feedStop context.CancelFunc
	closing  sync.Once
}

// Start opens everything, then listens: what fails before is an error. ctx ends the
// server at once; DrainLater ends it after the tasks under way.
func Start(ctx context.Context, f *File, o Options) (*Server, error) {
	s := &Server{
		file: f, log: o.Log, version: o.Version, started: time.Now().UTC(), served: make(chan error, 1),
		streams: places{most: f.Limits.Streams, each: f.Limits.StreamsPerOwner},
		options: o, held: f,
	}
	s.limits.Store(&f.Limits)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.soft, s.soften = context.WithCancelCause(s.ctx)
	if err := s.open(o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// URL is where the server listens.
func (s *Server) URL() string { return urlOf(s.file.Listen.TLS != nil, s.front.Addr()) }

// Data is the directory of the store.
func (s *Server) Data() string { return s.data }

// Grace is how long a drain may take.
func (s *Server) Grace() time.Duration { return time.Duration(s.file.Grace) }

// DrainLater finishes the tasks under way within the file's grace and ends the server.
// What is not done by then goes back to its queue.
func (s *Server) DrainLater() {
	s.running.Go(func() {
		ctx, cancel := context.WithTimeoutCause(s.ctx, s.Grace(), ErrDraining)
		defer cancel()
		s.Drain(ctx)
	})
}

// Drain makes the server unready, ends streams and waiting requests, lets other requests, the
// tasks and the runs of pipelines under way finish, and ends the server. When ctx ends first, the rest is
// cancelled, and tasks go back to their queue.
func (s *Server) Drain(ctx context.Context) {
	s.drained.Do(func() {
		s.draining.Store(true)
		s.soften(ErrDraining)
		if s.keeper != nil {
			s.keeper.Abdicate() // another server goes on, or the next start of this one
		}
		if s.node != nil {
			s.node.Drain()
			select {
			case <-s.nodeDone:
			case <-ctx.Done():
			}
		}
		if s.pipelines != nil {
			s.pipelines.Finish(ctx) // Close leaves those that go on to the next start
		}
		err := s.front.Shutdown(ctx)
		s.drainAPIs(ctx)
		if err != nil {
			s.log.Warn("requests were cut off: their time was over", "error", err, "grace", s.Grace().String())
		}
		s.served <- nil
	})
}

// Stop ends everything at once. Tasks that run go back to their queue.
func (s *Server) Stop(cause error) { s.cancel(cause) }

// Wait returns when the server has ended, and why; nil after a drain.
func (s *Server) Wait() error {
	select {
	case err := <-s.served:
		return err
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// Close ends what is left and returns when no process and no goroutine of the server is
// there any more.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.soften(ErrDraining)
		s.cancel(ErrDraining)
		closed := func(what string, err error) {
			if err != nil {
				s.log.Warn("close "+what, "error", err)
			}
		}
		if s.front != nil {
			s.front.Close()
			closed("the address", api.RemoveLocal(s.data))
		}
		if s.keeper != nil {
			closed("the schedules", s.keeper.Close())
		}
		s.running.Wait()
		if s.apis != nil {
			s.apis.Close()
		}
		if s.pool != nil {
			closed("the R processes", s.pool.Close())
		}
		if s.queue != nil {
			closed("the queue", s.queue.Close())
		}
		if s.feedStop != nil {
			s.feedStop()
		}
		if s.index != nil {
			closed("the index", s.index.Close())
		}
		if s.blobs != nil {
			closed("the values", s.blobs.Close())
		}
		if s.broker != nil {
			closed("the engine", s.broker.Close())
		}
		if s.notify != nil {
			s.notify.Close()
		}
		if s.audit != nil {
			closed("the audit log", s.audit.Close())
		}
		if s.sessions != nil {
			closed("the log-ins", s.sessions.Close())
		}
		if s.tokens != nil {
			closed("the tokens", s.tokens.Close())
		}
		closed("the traces", s.tracer.Close())
		if s.lock != nil {
			closed("the lock", s.lock.Close())
		}
	})
}

// self is the owner of what is submitted without a token: the user that the server
// runs as.
func self() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("the user that the server runs as: %w", err)
	}
	return u.Username, nil
}
