// Package front is where HTTP meets the network: the listener with TLS, HTTP/2
// and its limits, and what is done with every request before and after anybody
// works on it.
//
// A [Front] owns the port. It finds out who asks, gives each request an id and an
// exchange, takes out what belongs to one hop, watches for clients that leave,
// turns panics into answers, and writes the access log. A guard, made by
// [Front.Guard] from a [Policy], stands before one API: who may ask, how often,
// from where, and how large a body may be. It takes the body in whole, in memory
// or in a file, before it hands the request on, so that a slow client never holds
// an R worker.
//
// What it promises: a request that reached the handler has a body that is all
// there; its context ends with fault.ErrClientGone when the client leaves and
// with fault.ErrDraining when the time to drain is over; memory for bodies and
// answers is bounded by configuration.
package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tokens"
	"github.com/rpipe-dev/rpipe/trace"
)

// Observer hears of each request when its answer is out, in the goroutine that
// handled it. Status is 499 where nobody was there to receive one. It must not
// keep r or x.
type Observer interface {
	Done(x *exchange.Exchange, r *http.Request, status int, written int64, took time.Duration)
}

// Tokens is the store that bearer tokens are looked up in. Verify returns the
// token of a secret, or why there is none that is good now.
type Tokens interface {
	Verify(secret string) (tokens.Token, error)
}

// WatchedTokens are Tokens that are told who asks, in place of Verify, and may have him
// wait: an error that is a *fault.Fault is what he gets.
type WatchedTokens interface {
	Tokens
	VerifyFor(r *http.Request, secret string) (tokens.Token, error)
}

// Deps are what a Front works with.
type Deps struct {
	Log      *slog.Logger           // nil discards
	Access   Log                    // the access log; its zero value writes none
	Observer Observer               // nil for none
	Tokens   Tokens                 // nil where no policy asks for bearer tokens
	Fault    fault.Writer           // how requests are refused
	Dir      string                 // relative paths of certificates, keys and logs start here; "" is the working directory
	Tracer   *trace.Tracer          // nil traces nothing
	Untraced func(path string) bool // of requests that are not worth a span; nil is none
	TempDir  string                 // bodies and answers that are not in memory get a private directory in it; "" is the system's
}

// Front is a listener that is ready to serve. It is safe for concurrent use.
type Front struct {
	config   Listen
	deps     Deps
	log      *slog.Logger
	listener net.Listener
	feed     *feed
	server   *http.Server
	keys     *keyPair // nil without TLS
	trusted  networks
	access   *accessLog
	spool    *spool
	answers  *budget // bytes of responses in writing

	handler  http.Handler // set by Serve
	began    atomic.Bool  // Serve was called
	conns    connections
	requests counter
	serving  counter     // connections, as long as net/http has a goroutine for each
	closing  atomic.Bool // answers say that the connection is not kept
	unready  atomic.Bool

	base  context.Context // of all requests
	stop  context.CancelCauseFunc
	tasks conc.WaitGroup // the goroutines that Serve started
	door  chan struct{}  // closed when nobody is let in any more
	ended chan struct{}  // closed when Serve may return
	end   sync.Once
}

// New takes the address, the certificates and the log file, and fails where one
// of them cannot be had. Nobody is served before Serve; Close is owed in any case.
func New(c Listen, d Deps) (*Front, error) {
	listener, err := c.bind()
	if err != nil {
		return nil, err
	}
	f, err := newFront(c, d, listener)
	if err != nil {
		listener.Close()
		return nil, err
	}
	return f, nil
}

func newFront(c Listen, d Deps, listener net.Listener) (*Front, error) {
	f := &Front{config: c, deps: d, log: d.Log, listener: listener, feed: newFeed(listener.Addr()), door: make(chan struct{}), ended: make(chan struct{})}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.base, f.stop = context.WithCancelCause(context.Background())
	f.trusted = flatten(c.TrustedProxies)
	f.answers = newBudget(int64(c.ResponseMemory))
	f.conns.init(c.MaxConnections)
	var err error
	if c.TLS != nil {
		if f.keys, err = loadKeys(c.TLS, d.Dir, c.HTTP2 != "off", f.log); err != nil {
			return nil, err
		}
	}
	if f.access, err = openAccessLog(d.Access, d.Dir, f.log); err != nil {
		return nil, err
	}
	if f.spool, err = newSpool(d.TempDir, int64(c.BufferMemory), int64(c.BufferDisk)); err != nil {
		f.access.close()
		return nil, err
	}
	f.server = f.newServer()
	return f, nil
}

func (f *Front) newServer() *http.Server {
	c := &f.config
	s := &http.Server{
		Handler:           http.HandlerFunc(f.serve),
		ReadHeaderTimeout: time.Duration(c.HeaderTimeout),
		IdleTimeout:       time.Duration(c.IdleTimeout),
		MaxHeaderBytes:    int(c.MaxHeader),
		ErrorLog:          slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return f.base },
		ConnContext:       withConn,
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				f.serving.add(1)
			case http.StateClosed, http.StateHijacked:
				f.serving.add(-1)
			}
		},
		Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 256,
			// Bodies wait in the stream's window while they are read by pieces.
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     256 << 10,
			SendPingTimeout:               time.Duration(c.IdleTimeout),
			PingTimeout:                   15 * time.Second,
			WriteByteTimeout:              time.Duration(c.WriteTimeout),
		},
	}
	s.Protocols.SetHTTP1(true)
	if f.keys != nil {
		s.TLSConfig = f.keys.config() // net/http looks at its protocols
		s.Protocols.SetHTTP2(c.HTTP2 != "off")
	}
	s.Protocols.SetUnencryptedHTTP2(c.HTTP2 == "cleartext")
	return s
}

// Addr is the address that is listened on: a *net.TCPAddr or a *net.UnixAddr.
func (f *Front) Addr() net.Addr { return f.listener.Addr() }

// Ready is false from the moment that Shutdown is called, before anything is
// refused.
func (f *Front) Ready() bool { return !f.unready.Load() }

// Serve serves with h until Shutdown is done, Close is called, or ctx ends, which
// is Close. It is called once, and returns an error only where the listener
// broke.
func (f *Front) Serve(ctx context.Context, h http.Handler) error {
	f.handler = h
	f.began.Store(true)
	defer context.AfterFunc(ctx, f.Close)()
	served := make(chan error, 1)
	f.tasks.Go(f.accept)
	f.tasks.Go(func() { served <- f.server.Serve(f.feed) })
	f.tasks.Go(f.watchClients)
	if f.keys != nil {
		f.tasks.Go(func() { f.keys.watch(f.base) })
	}
	var err error
	select {
	case <-f.ended:
	case err = <-served:
		if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			err = nil // Shutdown or Close is at work
		} else {
			err = fmt.Errorf("serve %s: %w", f.config.Address, err)
			f.Close()
		}
		<-f.ended
	}
	f.tasks.Wait()
	return err
}

// Reopen opens the log file anew, after a rotation moved it.
func (f *Front) Reopen() error { return f.access.reopen() }

// atRate is how long so many bytes take at a rate in bytes a second.
func atRate(bytes int64, rate configs.Size) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
}
