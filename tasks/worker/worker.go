// Package worker is rpipe worker: a node of the task queue on a machine of its own. It
// connects to the engine of a server elsewhere, or to a cluster of NATS servers, finds
// out there where values are kept, and runs tasks until it is told to end or has been
// idle for long enough. The command line is its user.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/internal/tempdir"
	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/store"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/node"
	"github.com/rpipe-dev/rpipe/trace"
)

// Options say where the engine is, and what the node does.
type Options struct {
	Join        string   // what rpipe serve --join wrote: the text, or the file
	URLs        []string // servers of a cluster, in place of Join
	Credentials string   // file
	CA          string   // file

	Values   string       // where the directory of values is on this machine, where it is elsewhere than on the server's
	Cache    string       // directory of copies of values; "" is a temporary one
	MaxCache int64        // bytes; 0 is 4 GiB
	Node     node.Options // what is left zero of CacheDir, AckWait and Log is filled in

	Log    *slog.Logger  // nil discards
	Tracer *trace.Tracer // nil traces nothing
	Health string        // address of /healthz, /readyz and /metrics; "" for none
}

// ConfigError says that the options cannot be used.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Worker runs tasks. Start makes it; Wait and Close end it.
type Worker struct {
	broker *broker.Broker
	values *blob.Store
	node   *node.Node
	grace  time.Duration
	cancel context.CancelCauseFunc
	done   chan struct{}
	err    error
	cache  *tempdir.Dir // to be removed; nil where the options name one

	health     *http.Server // nil for none
	healthDone chan struct{}
	healthURL  string
	figures    *metrics.Registry
}

// Connect opens the engine that the options name.
func Connect(ctx context.Context, o *Options) (*broker.Broker, error) {
	name, _ := os.Hostname()
	b := broker.Options{Name: "rpipe worker on " + name, Log: o.Log, URLs: o.URLs, Credentials: o.Credentials, CA: o.CA}
	switch {
	case o.Join != "" && len(o.URLs) > 0:
		return nil, &ConfigError{errors.New("worker: --join and --nats both say where the tasks are; one of them is enough")}
	case o.Join != "":
		join, err := broker.ParseJoin(o.Join)
		if err != nil {
			return nil, &ConfigError{fmt.Errorf("worker: %w", err)}
		}
		b.Join = join
	case len(o.URLs) == 0:
		return nil, &ConfigError{errors.New("worker: where are the tasks? give --join FILE, which rpipe serve --nats-listen ADDRESS --join FILE writes, or --nats with the addresses of a cluster")}
	}
	opened, err := broker.Open(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return opened, nil
}

// Start connects, and begins to take tasks. ctx ends the worker at once: what it had
// goes back to its queue.
func Start(ctx context.Context, o Options) (*Worker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b, err := Connect(ctx, &o)
	if err != nil {
		return nil, err
	}
	w := &Worker{broker: b, grace: o.Node.Grace, done: make(chan struct{}), figures: metrics.New()}
	err = w.open(ctx, &o)
	if err == nil {
		err = w.openHealth(ctx, &o)
	}
	if err != nil {
		w.release()
		return nil, err
	}
	ctx, w.cancel = context.WithCancelCause(ctx)
	go func() {
		defer close(w.done)
		if err := w.node.Run(ctx); err != nil && !errors.Is(err, node.ErrIdle) && ctx.Err() == nil {
			w.err = err
		}
	}()
	return w, nil
}

func (w *Worker) open(ctx context.Context, o *Options) (err error) {
	if o.Cache == "" {
		if w.cache, err = tempdir.New("rpipe-worker-"); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		o.Cache = w.cache.Path
	}
	if w.values, err = w.openValues(ctx, o); err != nil {
		return err
	}
	n := o.Node
	n.CacheDir = filepath.Join(o.Cache, "files")
	n.Log, n.Tracer = o.Log, o.Tracer
	n.Pooled = func(p *rpool.Pool) { w.figures.Pool("tasks", p) }
	if w.node, err = node.New(w.broker, w.values, n); err != nil {
		return &ConfigError{fmt.Errorf("worker: %w", err)}
	}
	return nil
}

// openValues opens the place that the server has said values are in.
func (w *Worker) openValues(ctx context.Context, o *Options) (*blob.Store, error) {
	var c tasks.ValuesConfig
	record, err := w.broker.Get(ctx, tasks.ValuesSubject)
	switch {
	case err == nil:
		if err := json.Unmarshal(record.Data, &c); err != nil {
			return nil, fmt.Errorf("worker: where values are kept: %w", err)
		}
	case !errors.Is(err, broker.ErrNotFound):
		return nil, fmt.Errorf("worker: where values are kept: %w", err)
	}
	b := blob.Options{Cache: filepath.Join(o.Cache, "values"), MaxCache: o.MaxCache}
	switch {
	case c.S3 != "":
		if b.S3, err = store.Parse(c.S3); err != nil {
			return nil, fmt.Errorf("worker: where values are kept: %w", err)
		}
		var s3 store.Config
		configs.SetDefaults(&s3)
		s3.Endpoint, s3.Region = c.Endpoint, c.Region
		if c.PathStyle != "" {
			s3.PathStyle = c.PathStyle
		}
		b.S3Client = store.New(s3)
	case c.Dir != "":
		if b.Dir = c.Dir; o.Values != "" {
			b.Dir = o.Values
		}
		if _, err := os.Stat(b.Dir); err != nil {
			return nil, fmt.Errorf("worker: values are kept in %s, which this machine does not see: %w; mount it, or say with --values where it is here", c.Dir, err)
		}
	default:
		b.Objects = w.broker.Objects()
	}
	s, err := blob.Open(b)
	if err != nil {
		return nil, fmt.Errorf("worker: where values are kept: %w", err)
	}
	return s, nil
}

// Grace is how long a drain may take.
func (w *Worker) Grace() time.Duration { return max(w.grace, 0) }

// DrainLater takes no more tasks, and ends when those that run have ended, or after the
// grace, when they go back to their queue.
func (w *Worker) DrainLater() { w.node.Drain() }

// Stop ends it at once: tasks go back to their queue.
func (w *Worker) Stop(cause error) { w.cancel(cause) }

// Wait returns when it has ended, and why; nil when it was told to, or was idle.
func (w *Worker) Wait() error {
	<-w.done
	return w.err
}

// Close ends what is left.
func (w *Worker) Close() {
	w.cancel(errors.New("closed"))
	<-w.done
	w.closeHealth()
	w.release()
}

func (w *Worker) release() {
	if w.values != nil {
		_ = w.values.Close()
	}
	_ = w.broker.Close()
	if w.cache != nil {
		_ = w.cache.Close()
	}
}
