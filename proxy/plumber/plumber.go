// Package plumber serves plumber APIs from R workers without a server in R: it
// builds the request that httpuv would, has a worker run the router's call(), and
// answers with what comes back.
//
// [Environment] makes an environment of the pool answer requests with an API;
// [New] brings it up. An API runs unchanged: annotated files, directories with an
// entrypoint.R, and scripts that end in pr_run(). What is promised is the answer
// of plumber's own $run(): status, headers and body, byte for byte. What differs
// stands in docs/plumber.md, and the tests compare the two.
package plumber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/graph"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Options are what an API is served with.
type Options struct {
	Pool    *rpool.Pool
	Env     *rpool.Environment // made by Environment
	Config  *Config
	Log     *slog.Logger // nil discards
	Fault   fault.Writer
	Timeout time.Duration // of R code; 0 is none
	Prefix  string        // the path that was stripped from the URL, without a slash at its end

	// InFlight is how many requests may wait for R or be in it. The pool's own
	// limits come first. 0 is 16384.
	InFlight int
}

// API is one generation of a plumber API. It is safe for concurrent use.
type API struct {
	o     Options
	about about
	graph *graph.Graph
}

// New brings up the API with its first worker. A *rpool.StartError says why it
// does not come up: the file fails, plumber is not installed.
func New(ctx context.Context, o Options) (*API, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.InFlight == 0 {
		o.InFlight = 1 << 14
	}
	if err := o.Pool.Warm(ctx, o.Env, 1); err != nil {
		return nil, err
	}
	a := &API{o: o}
	if err := a.about.read(o.Pool.About(o.Env)); err != nil {
		return nil, fmt.Errorf("plumber: what R says of the API: %w", err)
	}
	if a.about.Unsafe != "" && o.Env.Start == rpool.StartFork {
		o.Log.Warn("workers are forked although the API says otherwise; open what they need in after_fork", "reason", a.about.Unsafe)
	}
	// A user other than ours may be allowed to read less than we are.
	a.about.files = o.Config.Static && o.Env.User == "" && !a.about.Hooked
	a.graph = graph.New(context.WithoutCancel(ctx), graph.Options{Pool: o.Pool, Env: o.Env, InFlight: o.InFlight})
	return a, nil
}

// Docs is the path of the API's documentation below Prefix; "" where it has none.
func (a *API) Docs() string { return a.about.Docs }

// Drain refuses new requests and waits for those under way until ctx ends, which
// cancels them. It is called once.
func (a *API) Drain(ctx context.Context) error { return a.graph.Drain(ctx) }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	path := a.path(r)
	found := a.about.Router.find(r.Method, path, "", true)
	x.Route = found.route
	home := path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		a.about.Docs != "" && found.route == ""
	switch {
	case found.route == "":
		x.Route = "other"
		if home && a.about.nobodyLooks() {
			a.redirect(w)
			return
		}
	case a.about.files && found.file != "" && a.static(w, r, found):
		return
	}
	body, err := bodyOf(x, r)
	if err != nil {
		if own := (*fault.Fault)(nil); !errors.As(err, &own) { // the front says itself what is too large, or too slow
			err = &fault.Fault{Status: http.StatusBadRequest, Reason: "body", Message: "the request's body did not come in whole", Err: err}
		}
		a.o.Fault.Write(w, r, err)
		return
	}
	if a.about.MaxSize > 0 && float64(body.Size) > a.about.MaxSize {
		write(w, r, &rpool.HTTPResponse{
			Status:  http.StatusRequestEntityTooLarge,
			Headers: []rpool.Field{{Name: "Content-Type", Value: "text/plain"}},
			Body:    []byte("Maximum upload size exceeded"),
		})
		return
	}
	reply, err := a.ask(r, x, a.request(r, x, path, body))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.answer(w, r, x, reply.HTTP, home)
}

// redirect sends a browser that asks for an API without a page of its own to the
// documentation.
func (a *API) redirect(w http.ResponseWriter) {
	w.Header().Set("Location", a.o.Prefix+a.about.Docs)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// ask has a worker answer.
func (a *API) ask(r *http.Request, x *exchange.Exchange, req *rpool.HTTPRequest) (*rpool.Reply, error) {
	var trace rpool.Trace
	reply, tried, err := a.graph.Do(r.Context(), &rpool.Request{
		Kind: rpool.HTTP, HTTP: req, Timeout: a.o.Timeout, Trace: &trace,
		Label: "request " + x.ID,
	}, a.attempts(r.Method))
	x.Queue, x.R, x.Worker, x.Attempts = trace.Queue, trace.Run, trace.Pid, tried
	if err != nil {
		return nil, err
	}
	x.Output = reply.Output
	a.printed(x, reply)
	return reply, nil
}

// attempts is how many workers a request may be given to, where those before
// died. What is not idempotent may have had an effect.
func (a *API) attempts(method string) int {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		if a.o.Config.Retry {
			return 2
		}
	}
	return 1
}

// printed logs what R has printed and warned of.
func (a *API) printed(x *exchange.Exchange, reply *rpool.Reply) {
	for _, s := range reply.Warnings {
		a.o.Log.Warn("R warned", "request_id", x.ID, "pid", reply.Pid, "warning", s)
	}
	if reply.Output != "" {
		a.o.Log.Info("R printed", "request_id", x.ID, "pid", reply.Pid, "output", reply.Output)
	}
}
