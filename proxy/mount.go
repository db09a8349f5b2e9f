package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/rpool"
)

// MountOptions are what the APIs of a file need of the process that serves them.
type MountOptions struct {
	Log      *slog.Logger // nil discards
	Front    *front.Front // the listener; it is not closed
	Recorder *admin.Recorder
	Metrics  *metrics.Registry // told of the pools that are made
	Fault    fault.Writer
	// Pools are made by others, and not closed. Those of the file of the same name are not
	// made, but say what their APIs keep up.
	Pools map[string]*rpool.Pool
	// Browser is for development: a browser is shown what is wrong with the newest code.
	Browser bool

	// around stands between an API's policies and its code; nil for nothing.
	around func(name, prefix string, bare http.Handler) http.Handler
}

// Mount is the APIs of a file on their pools: a handler that finds the API of each
// request, and lets new code take over while the old answers what it has begun. A Server
// has one; rpipe serve has one beside its own paths. NewMount makes the pools, Load brings
// up the APIs, Close is owed in any case.
type Mount struct {
	file    *File // by which the pools were made
	o       MountOptions
	log     *slog.Logger
	faults  fault.Writer
	front   *front.Front
	ctx     context.Context // ends when everything is to end at once
	pools   map[string]*rpool.Pool
	own     map[string]*rpool.Pool // of these, those to be closed here
	router  router
	ending  conc.WaitGroup // generations that nobody is sent to any more
	loading sync.Mutex     // over making another site, and over what follows
	drained bool

	generations atomic.Int64
}

// NewMount makes the pools of f. It starts no process. ctx ends everything at once.
func NewMount(ctx context.Context, f *File, o MountOptions) (*Mount, error) {
	m := &Mount{
		file: f, o: o, log: o.Log, faults: o.Fault, front: o.Front, ctx: ctx,
		pools: maps.Clone(o.Pools), own: map[string]*rpool.Pool{},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.pools == nil {
		m.pools = map[string]*rpool.Pool{}
	}
	m.router.faults, m.router.browser = o.Fault, o.Browser
	m.router.site.Store(&site{file: f})
	for name, p := range f.Pools {
		if m.pools[name] != nil {
			continue
		}
		options := p.options(f.users(name), m.log, m.printed)
		options.Min = 0 // each API has its own; pipelines have none
		pool, err := rpool.New(options)
		if err != nil {
			m.Close()
			return nil, fmt.Errorf("pools.%s: %w", name, err)
		}
		o.Metrics.Pool(name, pool)
		m.pools[name], m.own[name] = pool, pool
	}
	return m, nil
}

// printed logs what R writes outside of requests.
func (m *Mount) printed(pid int, line string) {
	m.log.Info("R: "+line, "pid", pid)
}

// Load brings up the APIs for the first time, one after the other. Those that do not come
// up answer 503 until a Reload; the error says which and why.
func (m *Mount) Load(ctx context.Context) error {
	first := &site{file: m.file}
	m.router.site.Store(first) // Close lets go of what it has by then; nobody is served yet
	var errs []error
	for i := range m.file.APIs {
		c := m.load(ctx, &m.file.APIs[i])
		first.apis = append(first.apis, c)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.broken != nil {
			errs = append(errs, c.broken)
		}
	}
	return errors.Join(errs...)
}

// Serves reports whether a request is for one of the APIs.
func (m *Mount) Serves(r *http.Request) bool { return m.router.site.Load().find(r) != nil }

// ServeHTTP hands a request to the API it is for.
func (m *Mount) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.router.ServeHTTP(w, r) }

// File is what is served now.
func (m *Mount) File() *File { return m.router.site.Load().file }

// Pool is the pool of a name; nil where there is none.
func (m *Mount) Pool(name string) *rpool.Pool { return m.pools[name] }

// Reload brings up the newest code of file's APIs and lets it take over; requests go to
// the old code until then. An API whose configuration is the same is left alone unless
// again says otherwise, or its code did not work before. One whose code does not work
// keeps what it had; the error says which and why. When ctx ends, all stays as it was.
func (m *Mount) Reload(ctx context.Context, file *File, again func(*API) bool) error {
	m.loading.Lock()
	defer m.loading.Unlock()
	return m.reload(ctx, file, again)
}

// Retry is Reload of what is served, for those APIs alone whose code did not work. A
// reload under way comes first: what it brings is tried, not what was before.
func (m *Mount) Retry(ctx context.Context) error {
	m.loading.Lock()
	defer m.loading.Unlock()
	return m.reload(ctx, m.File(), func(*API) bool { return false })
}

// reload is Reload. m.loading is held.
func (m *Mount) reload(ctx context.Context, file *File, again func(*API) bool) error {
	if m.drained {
		return fault.ErrDraining
	}
	old := m.router.site.Load()
	next := &site{file: file}
	var errs []error
	var replaced []*api
	kept := map[*api]bool{}
	for i := range file.APIs {
		c := &file.APIs[i]
		before := old.slot(c.Name)
		if before != nil && before.api != nil && before.broken == nil && same(before.api.config, c) && !again(c) {
			next.apis = append(next.apis, before)
			kept[before.api] = true
			continue
		}
		now := m.load(ctx, c)
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
		m.letGo(replaced)
		return context.Cause(ctx)
	}
	m.router.site.Store(next)
	for _, c := range old.apis {
		if c.api != nil && !kept[c.api] {
			replaced = append(replaced, c.api)
		}
	}
	m.letGo(replaced)
	for _, c := range next.apis {
		if c.api != nil && !kept[c.api] {
			m.log.Info("new code serves", "api", c.config.Name, "generation", c.api.generation, "took", time.Since(c.api.began).Round(time.Millisecond).String())
		}
	}
	return errors.Join(errs...)
}

// letGo ends generations that nobody is sent to any more, each as soon as its last
// request is answered, at the latest when the mount ends.
func (m *Mount) letGo(replaced []*api) {
	for _, a := range replaced {
		m.ending.Go(func() { a.drain(m.ctx, m.log) })
	}
}

// Drain lets the requests under way end and nobody else in, after a reload that is under
// way has ended. When ctx ends first the rest is cancelled.
func (m *Mount) Drain(ctx context.Context) {
	m.loading.Lock()
	m.drained = true
	current := m.router.site.Load()
	m.loading.Unlock()
	current.drain(ctx, func(ctx context.Context, a *api) { a.drain(ctx, m.log) })
}

// Close ends what is left, once the mount's context has ended, and returns when no process
// of its own pools is there any more.
func (m *Mount) Close() {
	m.Drain(m.ctx)
	m.ending.Wait()
	var closing conc.WaitGroup
	for name, p := range m.own {
		closing.Go(func() {
			if err := p.Close(); err != nil {
				m.log.Error("close a pool", "pool", name, "error", err)
			}
		})
	}
	closing.Wait()
}
