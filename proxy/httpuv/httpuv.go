// Package httpuv serves R code that listens by way of the R package httpuv, each
// R worker on a Unix socket of its own: Shiny apps, apps of httpuv with
// websockets, plumber APIs with their own server, and frameworks built on it.
//
// A worker that serves is leased from the pool for as long as it does. Requests go
// to the one with the fewest under way, or by cookie to the one that a browser had
// before; a full one gets none, and when all are full another is leased. What a
// client asks and what R answers is held here, so that neither slow clients nor
// slow readers hold a worker. Websockets are passed on byte by byte.
//
// There is an HTTP answer for whatever befalls a worker (package fault), and a
// close frame for a websocket. A request that its client has left, or that takes
// too long, is interrupted in R where nothing else would be hit; the worker goes on.
package httpuv

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Options are what a Transport works with.
type Options struct {
	Config *Config
	Pool   *rpool.Pool
	Env    *rpool.Environment // of Config.Environment
	Log    *slog.Logger       // nil discards
	Fault  fault.Writer

	Timeout time.Duration // of R's work on a request that is no websocket; 0 is none
	Prefix  string        // the path that was stripped from the URL, "" for none
	Grace   time.Duration // for R to let go of an interrupted request; 0 is 5s

	QueueLength int           // requests that may wait for a worker; 0 is 1024
	QueueWait   time.Duration // how long one may wait; 0 is for ever
}

func (c *Config) startTimeout() time.Duration {
	if c.Start > 0 {
		return time.Duration(c.Start)
	}
	return time.Minute
}

// what is served, for errors.
func (c *Config) what() string {
	switch {
	case c.Dir != "":
		return c.Dir
	case c.File != "":
		return c.File
	}
	return "code"
}

// Transport is an http.Handler that has R workers answer.
type Transport struct {
	o        Options
	crew     *crew
	requests atomic.Uint64
}

// New brings up the first workers, or says why not; the error is then mostly a
// *rpool.StartError. The Transport ends with Drain.
func New(ctx context.Context, o Options) (*Transport, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	orElse(&o.Grace, 5*time.Second)
	orElse(&o.QueueLength, 1024)
	orElse(&o.Config.Cookie, "rpipe_worker")
	orElse(&o.Config.MaxResponse, 2<<30)
	t := &Transport{o: o, crew: newCrew(o)}
	if err := t.crew.open(ctx); err != nil {
		t.crew.close()
		return nil, err
	}
	return t, nil
}

// ServeHTTP implements http.Handler. It returns when the answer is out, that of a
// websocket when it is closed.
func (t *Transport) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	x.Route = "/*"
	if isWebsocket(r) {
		t.tunnel(w, r, x)
	} else {
		t.forward(w, r, x)
	}
}

// Replaced says that other code is about to take over: websockets end when they
// have had Config.Websocket.Drain more. Requests come in until Drain.
func (t *Transport) Replaced() { t.crew.replaced() }

// Drain lets nobody new in, waits for what is under way until ctx ends, or for
// websockets until Config.Websocket.Drain has passed, and gives the workers back.
// Who is left then is answered with 503, or told by a close frame.
func (t *Transport) Drain(ctx context.Context) error { return t.crew.drain(ctx) }

// Status is what a Transport does at one moment.
type Status struct {
	Workers  []WorkerStatus
	Starting int // workers on their way up
	Waiting  int // requests that no worker has room for
	Failure  string
}

// WorkerStatus is what one worker does.
type WorkerStatus struct {
	Pid        int
	Requests   int // under way
	Websockets int // open
	Served     int // of both, ever
	Since      time.Time
	Leaving    bool // takes nobody new
}

// Status tells of all workers.
func (t *Transport) Status() Status { return t.crew.status() }
