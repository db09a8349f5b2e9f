package trace

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

const (
	defaultPath = "/v1/traces"
	// sendWithin is how long one request to the collector may take, with its retries.
	sendWithin = 10 * time.Second
	// queued is how many spans wait to be sent before more are left out.
	queued = 8192
	// sayAgain is how often a collector that is away is a line of the log.
	sayAgain = time.Minute
)

// Service is who traces.
type Service struct {
	Name    string // where the configuration has none, such as rpipe-serve
	Version string
	Dir     string       // that a relative path of the configuration starts from
	Log     *slog.Logger // nil discards
}

// New connects to the collector of c; without an endpoint the Tracer is nil. The
// collector need not be there: spans are sent when it is. Close ends it.
func New(ctx context.Context, c Config, s Service) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	client, err := c.client(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	to, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	name := c.ServiceName
	if name == "" {
		name = s.Name
	}
	host, _ := os.Hostname()
	attrs := []attribute.KeyValue{
		String("service.name", name), String("service.version", s.Version), String("host.name", host),
		Int("process.pid", os.Getpid()), String("process.executable.name", filepath.Base(os.Args[0])),
		String("telemetry.sdk.name", "opentelemetry"), String("telemetry.sdk.language", "go"),
	}
	for k, v := range c.Attributes {
		attrs = append(attrs, String(k, v))
	}
	t := &Tracer{out: &exporter{to: to, log: s.Log, endpoint: c.Endpoint}}
	t.provider = sdk.NewTracerProvider(
		sdk.WithSpanProcessor(&gate{t.out, sdk.NewBatchSpanProcessor(t.out,
			sdk.WithMaxQueueSize(queued), sdk.WithExportTimeout(sendWithin), sdk.WithBatchTimeout(2*time.Second))}),
		sdk.WithResource(resource.NewSchemaless(clean(attrs)...)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
		sdk.WithRawSpanLimits(limits),
	)
	t.tracer = t.provider.Tracer(scope)
	return t, nil
}

// limits are of one span: an R error may have a long message and traceback.
var limits = sdk.SpanLimits{
	AttributeValueLengthLimit: 16 << 10, AttributeCountLimit: 128, EventCountLimit: 128, LinkCountLimit: 128,
	AttributePerEventCountLimit: 128, AttributePerLinkCountLimit: 128,
}

// client is that of the protocol.
func (c *Config) client(dir string) (otlptrace.Client, error) {
	u, err := c.url()
	if err != nil {
		return nil, fmt.Errorf("endpoint %w", err)
	}
	headers := make(map[string]string, len(c.Headers))
	for k, v := range c.Headers {
		headers[strings.ToLower(k)] = string(v)
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		path := c.CA
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca: %s has no certificate in PEM", path)
		}
	}
	if c.Protocol == "grpc" {
		o := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpoint(u.Host), otlptracegrpc.WithHeaders(headers),
			otlptracegrpc.WithTimeout(sendWithin), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
				Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: sendWithin,
			}),
		}
		if u.Scheme == "http" {
			o = append(o, otlptracegrpc.WithInsecure())
		} else {
			o = append(o, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(secure)))
		}
		return otlptracegrpc.NewClient(o...), nil
	}
	path := u.Path
	if !strings.HasSuffix(path, defaultPath) {
		path = strings.TrimSuffix(path, "/") + defaultPath
	}
	o := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(u.Host), otlptracehttp.WithURLPath(path), otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithTimeout(sendWithin), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: sendWithin,
		}),
	}
	if u.Scheme == "http" {
		o = append(o, otlptracehttp.WithInsecure())
	} else {
		o = append(o, otlptracehttp.WithTLSClientConfig(secure))
	}
	return otlptracehttp.NewClient(o...), nil
}

// exporter counts what is sent, and says in the log what is not.
type exporter struct {
	to       sdk.SpanExporter
	log      *slog.Logger
	endpoint string

	waiting      atomic.Int64 // spans that are to be sent
	sent, failed atomic.Int64
	said         atomic.Int64 // Unix time in ns of the last line
}

// gate leaves out what does not fit into the queue before it: the SDK's own would do that
// without a word.
type gate struct {
	out *exporter
	sdk.SpanProcessor
}

var errQueueFull = fmt.Errorf("%d wait to be sent already: the collector is too slow, or away", queued)

// OnEnd implements sdk.SpanProcessor.
func (g *gate) OnEnd(s sdk.ReadOnlySpan) {
	switch {
	case !s.SpanContext().IsSampled(): // it would not be queued
	case g.out.waiting.Add(1) > queued:
		g.out.waiting.Add(-1)
		g.out.leave(1, errQueueFull)
	default:
		g.SpanProcessor.OnEnd(s)
	}
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.to.ExportSpans(ctx, spans)
	e.waiting.Add(-int64(len(spans)))
	if err != nil {
		e.leave(len(spans), err)
		return nil // said; the SDK would say it once more, elsewhere
	}
	e.sent.Add(int64(len(spans)))
	return nil
}

// leave counts spans that are not sent, and says so once in a while.
func (e *exporter) leave(spans int, err error) {
	e.failed.Add(int64(spans))
	now, last := time.Now().UnixNano(), e.said.Load()
	if now-last > int64(sayAgain) && e.said.CompareAndSwap(last, now) {
		e.log.Warn("traces cannot be sent: spans are left out", "endpoint", e.endpoint, "spans", e.failed.Load(), "error", err)
	}
}

// Shutdown implements sdk.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }

// Counts are the spans that have been sent, and that could not be.
type Counts struct{ Sent, Failed int64 }

// Counts is what became of the spans so far. Of a nil Tracer there are none.
func (t *Tracer) Counts() Counts {
	if t == nil {
		return Counts{}
	}
	return Counts{Sent: t.out.sent.Load(), Failed: t.out.failed.Load()}
}

// Flush sends what waits to be sent.
func (t *Tracer) Flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// Close sends what waits, for at most two seconds, and ends the Tracer; spans that end
// later are lost.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}
