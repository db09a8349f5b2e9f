package stages

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/webapi"
)

// Plan implements Transform: the columns are known where each has its type
// declared.
func (c *Fetch) Plan(in *frame.Schema) (*frame.Schema, error) {
	requests, err := c.compile()
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, nil
	}
	for _, r := range requests {
		if _, _, err := r.resolve(in); err != nil {
			return nil, fmt.Errorf("%s%w", r.label(), err)
		}
	}
	shape := declaredShape(requests)
	if !shape.decided() {
		return nil, nil
	}
	return shape.schema(in)
}

// Build implements Transform.
func (c *Fetch) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	f, err := c.fetcher(env)
	if err != nil {
		return nil, err
	}
	return f.stage, nil
}

// stage is one stream through the fetcher: with the client and the gate of all,
// and accounts of its own.
func (f *fetcher) stage(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
	own := *f
	own.shape = slices.Clone(f.shape)
	own.gathered = map[uint64]*gathering{}
	own.done = make(chan *fetchedRow, f.window)
	own.absent = newAbsences(f.requests, f.config.InferRows)
	return own.run(ctx, in, out)
}

func (c *Fetch) fetcher(env *Env) (*fetcher, error) {
	requests, err := c.compile()
	if err != nil {
		return nil, err
	}
	f := &fetcher{
		config: c, env: env, requests: requests, shape: declaredShape(requests), accepted: new(atomic.Bool),
		failures: newFailures(&OnError{OnError: c.OnError, MaxFailed: c.MaxFailed}, env),
		window:   rowsPerRequest * c.InFlight,
		gate:     newGate(c.InFlight),
	}
	if err := f.recall(); err != nil {
		return nil, err
	}
	limiters, err := env.Limiters()
	if err != nil {
		return nil, err
	}
	client, err := webapi.New(&c.Config, webapi.Options{Dir: env.Dir, AtOnce: c.InFlight, Limiters: limiters, Log: env.Log, Gate: f.gate})
	if err != nil {
		return nil, err
	}
	f.client = client
	if c.Cache == nil {
		env.OnClose(client.Close)
		return f, nil
	}
	cache, err := webapi.NewCache(c.Cache, client, c.Auth, env.Dir, env.Log)
	if err != nil {
		return nil, err
	}
	f.client = cache
	env.OnClose(func() {
		client.Close()
		if err := cache.Sweep(); err != nil && env.Log != nil {
			env.Log.Warn("the cache could not be cleaned up", "error", err)
		}
	})
	return f, nil
}

// How much a fetch works on and hands on at once.
const (
	// rowsPerRequest times in_flight rows have been begun: some of them wait to
	// be tried again, and hold no place of in_flight meanwhile.
	rowsPerRequest = 4
	// aheadRows is how many rows, with ordered, may wait for a slow one.
	aheadRows = 4096
	// A batch goes on when it has gatherRows or gatherBytes, or gatherTime after
	// its first row came.
	gatherRows  = 4096
	gatherBytes = 8 << 20
	gatherTime  = 100 * time.Millisecond
	// inferQuiet is how long no answer comes until types are inferred from fewer
	// than infer_rows.
	inferQuiet = time.Second
	// suspectRows is how many rows in a row are refused with 401 or 403, from the
	// beginning on, until it is clear that the credentials are wrong.
	suspectRows = 10
)

type limitersKey struct{}

// Limiters are the rates of the run that have a label.
func (e *Env) Limiters() (*webapi.Limiters, error) {
	if e.shared == nil {
		return nil, nil
	}
	l, err := e.Shared(limitersKey{}, func() (any, error) { return new(webapi.Limiters), nil })
	if err != nil {
		return nil, err
	}
	return l.(*webapi.Limiters), nil
}

// newWorkers are the goroutines that rows have their requests in.
func newWorkers(n int) *pool.Pool { return pool.New().WithMaxGoroutines(n) }
