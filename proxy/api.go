package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/httpuv"
	"github.com/rpipe-dev/rpipe/rpool"
)

// backend answers the requests of an API with one generation of its code. It was
// brought up whole by its package's New.
type backend interface {
	http.Handler
	// Drain waits for what is under way until ctx ends, which cancels it, and
	// lets go of what the backend holds.
	Drain(ctx context.Context) error
}

// api is one API with one generation of its code, and never changes.
type api struct {
	config      *API
	generation  int
	pool        *rpool.Pool
	env         *rpool.Environment
	fingerprint string             // of env as it was loaded: its files may have changed since
	main        backend            // nil where there are endpoints alone
	endpoints   map[string]backend // by path below the prefix
	backends    []backend          // all of them
	bare        http.Handler       // what answers, and nothing before it
	behind      http.Handler       // with what stands before it, for paths without the prefix
	handler     http.Handler       // all of it
	docs        string             // path of the documentation, "" for none
	began       time.Time          // the load
	since       time.Time          // it is up
	gate        gate
	once        sync.Once // over draining
}

// match reports whether a request is for this API, and how long a prefix says so.
func (c *API) match(host, path string) (length int, ok bool) {
	if c.Host != "" && !strings.EqualFold(c.Host, host) {
		return 0, false
	}
	p := c.prefix()
	if p != "" && path != p && !strings.HasPrefix(path, p+"/") {
		return 0, false
	}
	length = len(p)
	if c.Host != "" { // an API of that host goes before those of any
		length += 1 << 16
	}
	return length, true
}

// prefix is Path without a slash at its end: "" for the root.
func (c *API) prefix() string { return strings.TrimRight(c.Path, "/") }

// dispatch is the API's own mux: endpoints, then the transport.
func (a *api) dispatch(faults fault.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := a.endpoints[r.URL.Path]; e != nil {
			e.ServeHTTP(w, r)
			return
		}
		if a.main == nil {
			faults.Write(w, r, fault.New(http.StatusNotFound, "not_found", "there is nothing at this path"))
			return
		}
		a.main.ServeHTTP(w, r)
	})
}

// strip takes the API's path off those of requests.
func (c *API) strip(next http.Handler) http.Handler {
	p := c.prefix()
	if p == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == p { // relative links of the API need the slash
			to := p + "/"
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		below, at := *r, *r.URL
		at.Path, at.RawPath = at.Path[len(p):], behind(at.RawPath, len(p))
		below.URL = &at
		next.ServeHTTP(w, &below)
	})
}

// behind is an encoded path without what stands for its first n bytes. It begins
// with a slash however the client wrote that.
func behind(raw string, n int) string {
	for ; n > 0 && raw != ""; n-- {
		if raw[0] == '%' {
			raw = raw[2:]
		}
		raw = raw[1:]
	}
	if len(raw) >= 3 && strings.EqualFold(raw[:3], "%2f") {
		return "/" + raw[3:]
	}
	return raw
}

// drain ends a generation: nobody new comes in, those inside are waited for until
// ctx ends, and its environment is let go.
func (a *api) drain(ctx context.Context, log *slog.Logger) {
	a.once.Do(func() {
		if t, ok := a.main.(*httpuv.Transport); ok {
			t.Replaced() // or the gate would wait for websockets without end
		}
		a.gate.shut(ctx)
		for _, b := range a.backends {
			if err := b.Drain(ctx); err != nil && !errors.Is(err, fault.ErrDraining) {
				log.Warn("an API did not end in good order", "api", a.config.Name, "generation", a.generation, "error", err)
			}
		}
		a.pool.Retire(a.env)
	})
}

// dir is where the API's relative paths start.
func (c *API) dir(base string) string {
	d := "."
	switch {
	case c.Plumber != nil:
		d = c.Plumber.Root()
	case c.HTTPUV != nil:
		d = c.HTTPUV.Root()
	}
	if filepath.IsAbs(d) {
		return d
	}
	return filepath.Join(base, d)
}

// APIError says that the code of an API does not work.
type APIError struct {
	Name string
	Err  error
}

func (e *APIError) Error() string { return fmt.Sprintf("api %s: %v", e.Name, e.Err) }
func (e *APIError) Unwrap() error { return e.Err }
