package stages

import (
	"context"
	"log/slog"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/store"
)

// Env is what a component is given when a run starts.
type Env struct {
	Run      string // id of the run
	Pipeline string // name of the pipeline
	Stage    string // label of this component in logs, metrics and errors
	Dir      string // relative paths start here: the directory of the pipeline file
	Temp     string // scratch directory of the run, which TempDir makes and the run's end removes; "" for none
	Limited  bool   // the run reads only the beginning of its input
	Plan     bool   // nothing runs: only what can be known beforehand is asked for
	Parallel int    // how many CPU-bound goroutines a component may use
	Memory   int64  // bytes that one blocking or buffering component may hold
	Log      *slog.Logger

	Pool *rpool.Pool        // nil where the pipeline has no R stage
	R    *rpool.Environment // what the pipeline's r: block says
	// Queue is R on the workers of a queue of a task server; nil where that is not to
	// be used: what says on: a queue then runs in Pool.
	Queue func(name string) (Executor, error)

	Printed *Relay // what R prints goes there; nil discards it

	S3     *store.Client // for paths that begin with s3://; nil where the run has none
	Resume bool          // the run goes on after an earlier process of the same id
	// Scheduled are the times of a schedule that the rows are for, as RFC 3339, or the id
	// of a run by hand; nil for none. With Again the output of earlier runs for the same time is replaced.
	Scheduled []string
	Again     bool
	// Interactive says that somebody waits for the rows: the stages serve requests,
	// each of which flows through them by itself (see Transform.Build). R is asked
	// at that priority, nothing is kept for a later process, and max_failed, which
	// is about a run, does nothing.
	Interactive bool
	// Endless says that the source may have no end: nothing that needs the whole
	// input would ever come.
	Endless bool

	// Ended reports whether the source has reached its end; a drain ends a
	// stage's input earlier. Nil is always.
	Ended func() bool
	// Spool is the durable copy of the input of the blocking stage of that
	// label, or nil where none is kept. See Whole.
	Spool func(stage string) Spool

	// Reject takes rows that failed where on_error is skip (Rejected.Drop) or
	// dead_letter: it counts them, writes the dead letter, and settles the
	// shares of Rejected.Batch. It returns an error when the run must stop. It
	// may be called by several goroutines.
	Reject func(ctx context.Context, r *Rejected) error

	shared *shared
}

// priority is the one at which R is asked.
func (e *Env) priority() rpool.Priority {
	if e.Interactive {
		return rpool.Interactive
	}
	return rpool.Bulk
}

// Spool keeps the input of a blocking stage across a crash. One goroutine uses it.
type Spool interface {
	// Replay hands over what earlier processes of this run have committed.
	Replay(ctx context.Context, emit func(frame.Frame) error) error
	// Write adds a batch to the open part of its epoch. It does not settle it.
	Write(ctx context.Context, b *Rows) error
}

// shared is what all components of one run have in common.
type shared struct {
	mu      sync.Mutex
	values  map[any]any
	closers []func()
	notes   notes
}

// For is the environment of one component of the run.
func (e *Env) For(stage string) *Env {
	if e.shared == nil {
		e.shared = &shared{values: map[any]any{}}
	}
	c := *e
	c.Stage = stage
	if e.Log != nil && stage != "" {
		c.Log = e.Log.With("stage", stage)
	}
	return &c
}

// Shared returns the run's value under key, made once by open: the SQL engine
// that several stages use, for example. Use a key of an unexported type.
func (e *Env) Shared(key any, open func() (any, error)) (any, error) {
	e.shared.mu.Lock()
	defer e.shared.mu.Unlock()
	if v, ok := e.shared.values[key]; ok {
		return v, nil
	}
	v, err := open()
	if err != nil {
		return nil, err
	}
	e.shared.values[key] = v
	return v, nil
}

// OnClose registers what must be released after the run's last stage has
// returned. Call it outside of Shared's open.
func (e *Env) OnClose(f func()) {
	e.shared.mu.Lock()
	defer e.shared.mu.Unlock()
	e.shared.closers = append(e.shared.closers, f)
}

// Close runs what OnClose registered, last first.
func (e *Env) Close() {
	if e.shared == nil {
		return
	}
	e.shared.mu.Lock()
	closers := e.shared.closers
	e.shared.closers = nil
	e.shared.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
}
