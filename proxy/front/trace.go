package front

import (
	"log/slog"
	"net/http"

	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/trace"
)

// traced is r within the trace that its client names, and with a span of its own where
// there is a tracer. Whoever gets the request from us is told of that one.
func (f *Front) traced(r *http.Request, x *exchange.Exchange) *http.Request {
	parent := r.Header.Get("Traceparent")
	if f.deps.Tracer == nil && parent == "" {
		return r.WithContext(logs.With(r.Context(), slog.String(logs.Request, x.ID)))
	}
	ctx := trace.Remote(r.Context(), parent, r.Header.Get("Tracestate"))
	if f.deps.Untraced == nil || !f.deps.Untraced(r.URL.Path) {
		ctx, x.Span = f.deps.Tracer.Start(ctx, r.Method, trace.Server)
	}
	x.Trace = trace.ID(ctx)
	if x.Span.On() {
		x.Span.Set(
			trace.String("http.request.method", r.Method), trace.String("url.path", r.URL.Path), trace.String("url.scheme", x.Scheme),
			trace.String("client.address", clientName(x)), trace.String("user_agent.original", r.UserAgent()), trace.String("rpipe.request", x.ID),
		)
		h := r.Header
		parent, state := trace.Header(ctx)
		h.Set("Traceparent", parent)
		if h.Del("Tracestate"); state != "" {
			h.Set("Tracestate", state)
		}
	}
	return r.WithContext(logs.With(ctx, slog.String(logs.Request, x.ID)))
}

// endSpan ends the span of a request whose answer is out.
func endSpan(w *writer, r *http.Request, x *exchange.Exchange) {
	s := x.Span
	if !s.On() {
		return
	}
	if x.Route != "" {
		s.Name(r.Method + " " + x.Route)
	}
	s.Set(trace.Int("http.response.status_code", w.status), trace.Int64("http.response.body.size", w.written),
		trace.String("http.route", x.Route), trace.String("rpipe.api", x.API), trace.String("rpipe.owner", x.Owner))
	if x.Target != "" { // the path is itself a secret
		s.Set(trace.String("url.path", x.Target))
	}
	if w.status < 500 {
		s.End(nil)
		return
	}
	if x.Err != nil {
		s.Set(trace.String("error.type", fault.Of(x.Err).Reason))
	} else {
		s.Fail(http.StatusText(w.status), "R answered so", "")
	}
	s.End(x.Err)
}
