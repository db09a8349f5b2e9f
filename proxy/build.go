package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/httpuv"
	"github.com/rpipe-dev/rpipe/proxy/plumber"
	"github.com/rpipe-dev/rpipe/proxy/predict"
	"github.com/rpipe-dev/rpipe/rpool"
)

// load builds the newest code of an API into a slot.
func (m *Mount) load(ctx context.Context, c *API) *slot {
	a, err := m.build(ctx, c)
	return &slot{config: c, api: a, broken: err, tried: time.Now()}
}

// build brings up the newest code of an API: its environment, the first worker,
// its endpoints. What it has begun is let go where a part fails.
func (m *Mount) build(ctx context.Context, c *API) (*api, error) {
	if m.pools[c.Pool] == nil {
		return nil, &ConfigError{Err: &APIError{Name: c.Name, Err: fmt.Errorf("pool %s was not there when the server started: a new pool takes a restart", c.Pool)}}
	}
	a := &api{
		config: c, generation: int(m.generations.Add(1)), began: time.Now(), pool: m.pools[c.Pool],
		endpoints: map[string]backend{},
	}
	a.env = m.environment(c, a.generation)
	a.fingerprint = a.env.Fingerprint()
	if err := m.fill(ctx, a); err != nil {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		a.drain(gone, m.log)
		return nil, m.explain(c, err)
	}
	a.since = time.Now()
	return a, nil
}

// environment is what the API's workers have loaded. Endpoints share it with the
// API beside them: a worker can answer both.
func (m *Mount) environment(c *API, generation int) *rpool.Environment {
	env := c.R.Environment(c.dir(m.file.Dir()), c.R.Limits)
	switch {
	case c.Plumber != nil:
		env = plumber.Environment(env, c.Plumber, m.place(c))
	case c.HTTPUV != nil:
		router := ""
		if c.HTTPUV.Kind == httpuv.Plumber && c.HTTPUV.Code == "" {
			router = plumber.Router(&plumber.Config{File: c.HTTPUV.File, Dir: c.HTTPUV.Dir})
		}
		env = c.HTTPUV.Environment(env, router)
	}
	env.Min = m.file.Pools[c.Pool].Min
	env.Version = strconv.Itoa(generation)
	return env
}

// place is where clients reach an API.
func (m *Mount) place(c *API) plumber.Site {
	at := plumber.Site{Prefix: c.prefix(), Development: m.faults.Details}
	if tcp, ok := m.front.Addr().(*net.TCPAddr); ok {
		at.Port = tcp.Port
		if !tcp.IP.IsUnspecified() {
			at.Host = tcp.IP.String()
		}
	}
	return at
}

// fill brings up the parts of a.
func (m *Mount) fill(ctx context.Context, a *api) error {
	c := a.config
	timeout := time.Duration(c.Timeout)
	log := m.log.With("api", c.Name)
	queue := m.file.Pools[c.Pool].Queue
	switch {
	case c.Plumber != nil:
		p, err := plumber.New(ctx, plumber.Options{
			Pool: a.pool, Env: a.env, Config: c.Plumber, Log: log, Fault: m.faults, Timeout: timeout, Prefix: c.prefix(),
		})
		if err != nil {
			return err
		}
		a.main, a.docs = p, p.Docs()
	case c.HTTPUV != nil:
		t, err := httpuv.New(ctx, httpuv.Options{
			Config: c.HTTPUV, Pool: a.pool, Env: a.env, Log: log, Fault: m.faults, Timeout: timeout, Prefix: c.prefix(),
			Grace:       time.Duration(m.file.Pools[c.Pool].Grace),
			QueueLength: queue.Length, QueueWait: time.Duration(queue.Wait),
		})
		if err != nil {
			return err
		}
		a.main = t
	default:
		if err := a.pool.Warm(ctx, a.env, 1); err != nil {
			return err
		}
	}
	if a.main != nil {
		a.backends = append(a.backends, a.main)
	}
	for i := range c.Predict {
		e := &c.Predict[i]
		p, err := predict.New(ctx, predict.Options{
			Pool: a.pool, Env: a.env, Log: log, Fault: m.faults, Timeout: timeout, Prefix: c.prefix(), Endpoint: *e, Dir: m.file.Dir(), Vars: m.file.named(e.Pipeline),
		})
		if err != nil {
			return err
		}
		a.endpoints[e.Path] = p
		a.backends = append(a.backends, p)
	}
	handler, err := m.guarded(a)
	a.handler = handler
	return err
}

// explain says whose API it is, and whether the code is at fault or the machine.
func (m *Mount) explain(c *API, err error) error {
	var start *rpool.StartError
	found := errors.As(err, &start)
	if found && start.Step == "handler" { // the rest of what a StartError says names rpipe's own code
		err = &rpool.StartError{Step: "load", What: c.code(m.file), Err: start.Err, Stderr: start.Stderr}
	}
	if m.file.single == "" {
		err = &APIError{Name: c.Name, Err: err}
	}
	if found && start.Step == "find R" {
		return err
	}
	return &ConfigError{Err: err}
}

// ConfigError says that a server could not start because of what its file says, or
// because of the code that it is to serve.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }
