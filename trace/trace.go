// Package trace sends spans of OpenTelemetry to a collector: what a request, a task, a
// batch or a commit did, when, and on whose behalf. Everything that takes part imports it.
//
// Start with [New], which is nil where no collector is configured: a nil *Tracer records
// nothing. Who begins work from outside (a request, a task from a queue, a run) asks
// [Tracer.Start]; whatever is below asks [Start], which needs the context alone.
//
// What is promised: without a collector nothing is sent, and a span costs the look into
// its context and no memory. What a client says of itself in traceparent and tracestate
// (W3C Trace Context) is taken over by [Remote] and passed on by [Header] all the same.
// A collector that is away or slow delays nobody: what does not fit into the queue is
// left out, which is counted and logged once in a while.
package trace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

// scope names what made the spans.
const scope = "github.com/rpipe-dev/rpipe"

// Tracer begins spans. A nil one records nothing. Its methods are safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   otel.Tracer
	out      *exporter
}

// Kind says what a span is to the span above it.
type Kind = otel.SpanKind

const (
	Internal = otel.SpanKindInternal // part of it, in this process
	Server   = otel.SpanKindServer   // an answer to a request
	Client   = otel.SpanKindClient   // a request to somebody
	Producer = otel.SpanKindProducer // something that is done later
	Consumer = otel.SpanKindConsumer // which is done now
)

// Attr is what a span says of itself.
type Attr = attribute.KeyValue

// Attributes by their types.
var (
	String  = attribute.String
	Strings = attribute.StringSlice
	Int     = attribute.Int
	Int64   = attribute.Int64
	Float   = attribute.Float64
	Bool    = attribute.Bool
)

// Span is a piece of work. The zero Span records nothing; so that attributes cost
// nothing then either, they are set where On says so.
type Span struct{ s otel.Span }

// Start begins a span below the one in ctx, which may be another process's.
func (t *Tracer) Start(ctx context.Context, name string, kind Kind) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.tracer.Start(ctx, valid(name), otel.WithSpanKind(kind))
	if !s.IsRecording() {
		return ctx, Span{} // the context says to those below that it is not sampled
	}
	return ctx, Span{s}
}

// StartAt is Start of a span that began earlier.
func (t *Tracer) StartAt(ctx context.Context, name string, kind Kind, at time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.tracer.Start(ctx, valid(name), otel.WithSpanKind(kind), otel.WithTimestamp(at))
	if !s.IsRecording() {
		return ctx, Span{}
	}
	return ctx, Span{s}
}

// Start begins a span below the one in ctx, where that is recorded in this process.
func Start(ctx context.Context, name string) (context.Context, Span) {
	above := otel.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, Span{}
	}
	ctx, s := above.TracerProvider().Tracer(scope).Start(ctx, valid(name))
	return ctx, Span{s}
}

// Part is a span below s that has ended already.
func (s Span) Part(name string, from, to time.Time, attrs ...Attr) {
	if s.s == nil {
		return
	}
	ctx := otel.ContextWithSpan(context.Background(), s.s)
	_, part := s.s.TracerProvider().Tracer(scope).Start(ctx, valid(name), otel.WithTimestamp(from), otel.WithAttributes(clean(attrs)...))
	part.End(otel.WithTimestamp(to))
}

// EndAt ends the span as of a moment that has passed.
func (s Span) EndAt(at time.Time) {
	if s.s != nil {
		s.s.End(otel.WithTimestamp(at))
	}
}

// Of is the span in ctx, or one that records nothing.
func Of(ctx context.Context) Span {
	if s := otel.SpanFromContext(ctx); s.IsRecording() {
		return Span{s}
	}
	return Span{}
}

// On reports whether the span is recorded.
func (s Span) On() bool { return s.s != nil }

// Name changes the span's name.
func (s Span) Name(name string) {
	if s.s != nil {
		s.s.SetName(valid(name))
	}
}

// Set adds attributes.
func (s Span) Set(attrs ...Attr) {
	if s.s != nil {
		s.s.SetAttributes(clean(attrs)...)
	}
}

// Event notes that something happened now.
func (s Span) Event(name string, attrs ...Attr) {
	if s.s != nil {
		s.s.AddEvent(valid(name), otel.WithAttributes(clean(attrs)...))
	}
}

// exceptional is an error that knows more of itself than its text.
type exceptional interface {
	error
	// Exception is the class of the error, its message, and where it happened, "" for
	// unknown.
	Exception() (class, message, stack string)
}

// End ends the span. An error is recorded as an exception, with its class and its
// traceback where it says them by a method Exception() (class, message, stack string).
func (s Span) End(err error) {
	if s.s == nil {
		return
	}
	var known exceptional
	switch {
	case err == nil:
	case errors.As(err, &known):
		class, message, stack := known.Exception()
		s.fail(class, message, stack)
	default:
		s.fail(fmt.Sprintf("%T", err), err.Error(), "")
	}
	s.s.End()
}

// Fail records an exception; the span goes on.
func (s Span) Fail(class, message, stack string) {
	if s.s != nil {
		s.fail(class, message, stack)
	}
}

func (s Span) fail(class, message, stack string) {
	attrs := []Attr{String("exception.type", class), String("exception.message", message)}
	if stack != "" {
		attrs = append(attrs, String("exception.stacktrace", stack))
	}
	s.s.AddEvent("exception", otel.WithAttributes(clean(attrs)...))
	s.s.SetStatus(codes.Error, short(message))
}

// ID is the trace that ctx is part of, in hex; "" for none.
func ID(ctx context.Context) string {
	c := otel.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return ""
	}
	return c.TraceID().String()
}

// Remote is ctx below a span of another process, as traceparent and tracestate say. What
// makes no sense is as if it were not there.
func Remote(ctx context.Context, traceparent, tracestate string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, &carrier{traceparent, tracestate})
}

// Header is what to tell another process of the span in ctx; "" for nothing.
func Header(ctx context.Context) (traceparent, tracestate string) {
	if !otel.SpanContextFromContext(ctx).IsValid() {
		return "", ""
	}
	var c carrier
	propagation.TraceContext{}.Inject(ctx, &c)
	return c.parent, c.state
}

// carrier has the two headers of W3C Trace Context.
type carrier struct{ parent, state string }

func (c *carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.parent
	case "tracestate":
		return c.state
	}
	return ""
}

func (c *carrier) Set(key, value string) {
	switch key {
	case "traceparent":
		c.parent = value
	case "tracestate":
		c.state = value
	}
}

func (c *carrier) Keys() []string { return []string{"traceparent", "tracestate"} }
