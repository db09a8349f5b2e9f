// Package exchange is what is known of one HTTP request on its way through the
// proxy. The front makes an Exchange for each request and puts it into the
// request's context; whoever handles the request fills in what it learns; the
// access log, the metrics and the status page read it when the answer is out.
package exchange

import (
	"context"
	"net/netip"
	"os"
	"time"

	"github.com/rpipe-dev/rpipe/trace"
)

// Exchange is one request and its answer. The goroutine that handles the request
// owns it until the handler has returned.
type Exchange struct {
	ID     string     // of the request: X-Request-Id, taken over or made
	API    string     // name of the API that it is for; "" for none of them
	Route  string     // the pattern that it matched, for metrics: one of few, never a path as it came
	Target string     // in logs, in place of a path that is itself a secret; "" is the path
	Client netip.Addr // who asks, behind trusted proxies
	Peer   netip.Addr // of the connection: Client, or a proxy; zero for a Unix socket
	// Relayed says that Peer speaks for somebody whom it does not name, or whom it is
	// not trusted to name: that Client is who asks can then not be relied on.
	Relayed bool
	Port    string // of the client, "" where a proxy hides it
	Scheme  string // http or https, as the client sees it
	Owner   string // of the token or password that it came with; "" for none
	Start   time.Time

	Trace string     // id of the trace that the request is part of; "" for none
	Span  trace.Span // of the request

	// Body is the request's body, whole: it was read before anybody waits for a
	// worker. Nil where the transport streams it.
	Body *Body

	// What the transport found out.
	Queue    time.Duration // waiting for a worker
	R        time.Duration // in R
	Worker   int           // pid; 0 for none
	Attempts int           // workers that were asked
	Err      error         // why the answer is 5xx; nil where R itself answered so
	Output   string        // what R printed meanwhile
}

// Body is a request's body that has come in whole. It is gone once the handler
// has returned.
type Body struct {
	Data []byte   // nil where it is in File
	File *os.File // nil where it is in Data; at no certain offset, Name is its path
	Size int64
}

type key struct{}

// With is ctx with x in it.
func With(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, key{}, x)
}

// Of is the exchange of a request's context. Without a front, as in a test of a
// transport alone, it is a new one.
func Of(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(key{}).(*Exchange); ok {
		return x
	}
	return &Exchange{Start: time.Now(), Scheme: "http"}
}
