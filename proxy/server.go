package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/async"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/tokens"
	"github.com/rpipe-dev/rpipe/trace"
)

// Options are what one server adds to its file.
type Options struct {
	Log     *slog.Logger // nil discards
	Version string       // of rpipe, for the status page
	// Watch is for development: APIs are loaded again when their files change,
	// clients see R's errors, and a start whose code does not work waits for one
	// that does.
	Watch bool

	// ackWait is how long after its proxy has died a request is taken up again by the
	// next one; 0 is async's own. For tests.
	ackWait time.Duration
}

// Server serves what a file says. Start makes it, Wait and Close end it.
type Server struct {
	file    *File
	log     *slog.Logger
	watch   bool
	faults  fault.Writer
	ctx     context.Context // ends when everything is to end at once
	cancel  context.CancelCauseFunc
	metrics *metrics.Registry
	tracer  *trace.Tracer // nil traces nothing
	mount   *Mount
	fileErr atomic.Pointer[error] // why the file could not be read again; nil where it could
	front   *front.Front
	admin   *admin.Admin
	tokens  *tokens.Store  // nil for none
	async   *async.Service // nil for none
	version string
	started time.Time

	recorder  *admin.Recorder
	adminOn   net.Listener // of the pages, where they have an address of their own; nil once it is served
	adminAddr net.Addr

	loads     context.Context // of reloads: ends with a drain
	stopLoads context.CancelCauseFunc
	reloading sync.Mutex  // over reading the file again and what follows
	asked     atomic.Bool // a reload that has not begun yet is on its way
	draining  atomic.Bool
	drained   sync.Once
	served    chan error // what serving ended with
	tasks     conc.WaitGroup
	beside    besides
	watcher   *watcher // nil without Options.Watch
}

// Start brings up all APIs, then listens: what fails before is an error, a
// *ConfigError where the file or the code of an API is wrong. ctx ends the server
// at once; Drain ends it after the requests under way.
func Start(ctx context.Context, f *File, o Options) (*Server, error) {
	s := &Server{
		file: f, log: o.Log, watch: o.Watch, version: o.Version, started: time.Now(),
		served: make(chan error, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.loads, s.stopLoads = context.WithCancelCause(s.ctx)
	s.faults = fault.Writer{Details: o.Watch || f.ErrorDetails}
	if err := s.open(o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open brings up the parts in the order in which it is cheapest to find out that
// they cannot be had: addresses, then R.
func (s *Server) open(o Options) error {
	if err := s.openTracing(); err != nil {
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.openMount(); err != nil {
		return err
	}
	if err := s.openAsync(o.ackWait); err != nil {
		return err
	}
	if err := s.mount.Load(s.ctx); err != nil {
		if !s.watch || s.ctx.Err() != nil {
			return err
		}
		s.log.Error("the code does not work; waiting for it to change", "error", err)
	}
	if s.watch {
		if err := s.watchFiles(); err != nil {
			return err
		}
	}
	if err := s.openPipelines(); err != nil {
		return err
	}
	s.serve()
	return nil
}

// openMount makes the pools, and what the APIs will be found in.
func (s *Server) openMount() (err error) {
	s.mount, err = NewMount(s.ctx, s.file, MountOptions{
		Log: s.log, Front: s.front, Recorder: s.recorder, Metrics: s.metrics, Fault: s.faults, Browser: s.watch,
		around: func(name, prefix string, bare http.Handler) http.Handler {
			if s.async == nil {
				return bare
			}
			return s.async.Around(name, prefix, bare)
		},
	})
	return err
}

// ReloadLater is Reload in the background; what comes of it is logged. It opens
// the access log anew, too: this is what SIGHUP does. Where a reload waits for its
// turn already, that one will see what there is now. It calls done when it has ended.
func (s *Server) ReloadLater(done func()) {
	first := s.asked.CompareAndSwap(false, true)
	s.tasks.Go(func() {
		defer done()
		if err := s.front.Reopen(); err != nil {
			s.log.Error("the access log cannot be opened anew", "error", err)
		}
		if !first {
			return
		}
		if err := s.Reload(s.loads); err != nil && s.loads.Err() == nil {
			s.log.Error("the old code goes on: the new one does not work", "error", err)
		}
	})
}

// Drain answers what is under way and ends the server: it becomes unready, takes
// no connection, finishes its requests, and lets its workers go. When ctx ends
// first the rest is cancelled.
func (s *Server) Drain(ctx context.Context) {
	s.drained.Do(func() {
		s.draining.Store(true)
		s.stopLoads(fault.ErrDraining)
		var pipelines conc.WaitGroup // they have the same time as requests, not what those leave
		pipelines.Go(func() { s.beside.drain(ctx) })
		if s.async != nil {
			pipelines.Go(func() { s.async.Drain(ctx) })
		}
		err := s.front.Shutdown(ctx)
		pipelines.Wait()
		s.mount.Drain(ctx)
		s.served <- err
	})
}

// DrainLater is Drain in the background, within the file's grace.
func (s *Server) DrainLater() {
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeoutCause(s.ctx, s.Grace(), fault.ErrDraining)
		defer cancel()
		s.Drain(ctx)
	})
}

// Grace is how long Drain may take.
func (s *Server) Grace() time.Duration { return time.Duration(s.file.Grace) }

// Stop ends everything at once.
func (s *Server) Stop(cause error) { s.cancel(cause) }

// Wait returns when the server has ended, and why; nil after Drain.
func (s *Server) Wait() error {
	select {
	case err := <-s.served:
		return err
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// Close ends what is left and returns when no process and no goroutine of the
// server is there any more.
func (s *Server) Close() {
	s.cancel(fault.ErrDraining)
	if s.front != nil {
		s.front.Close()
	}
	if s.adminOn != nil {
		s.adminOn.Close()
	}
	s.beside.tasks.Wait()
	if s.async != nil {
		s.async.Close()
	}
	s.tasks.Wait()
	if s.mount != nil {
		s.mount.Close()
	}
	if s.tokens != nil {
		if err := s.tokens.Close(); err != nil {
			s.log.Warn("when tokens were last used is not saved", "error", err)
		}
	}
	if err := s.tracer.Close(); err != nil {
		s.log.Warn("the last traces are not sent", "error", err)
	}
}
