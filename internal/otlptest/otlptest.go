// Package otlptest is a collector for tests: it takes OTLP over HTTP and gRPC as any
// collector does, decodes it, and keeps the spans.
package otlptest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what clients may use
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Span is one that has come.
type Span struct {
	Trace, ID, Parent string // in hex; Parent is "" for a root
	State             string // W3C tracestate
	Name              string
	Kind              string // INTERNAL, SERVER, …
	Start, End        time.Time
	Error             string // message of the status, where that is an error; "ERROR" for none
	Attrs             map[string]string
	Resource          map[string]string
	Events            []Event
}

// Event is one of a span.
type Event struct {
	Name  string
	Attrs map[string]string
}

// Collector keeps what it is sent.
type Collector struct {
	collector.UnimplementedTraceServiceServer

	HTTP string // its URL
	GRPC string

	mu      sync.Mutex
	spans   []Span
	headers []http.Header
	changed chan struct{}
}

// Start starts a collector, which ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{changed: make(chan struct{})}
	h := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(h.Close)
	c.HTTP = h.URL
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	collector.RegisterTraceServiceServer(g, c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(l)
	}()
	t.Cleanup(func() { g.Stop(); <-done })
	c.GRPC = "http://" + l.Addr().String()
	return c
}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &in)
	}
	switch {
	case r.URL.Path != "/v1/traces" || r.Method != http.MethodPost:
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.take(&in, r.Header)
	w.Header().Set("Content-Type", "application/x-protobuf")
	out, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
	w.Write(out)
}

// Export implements collector.TraceServiceServer.
func (c *Collector) Export(ctx context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	h := http.Header{}
	md, _ := metadata.FromIncomingContext(ctx)
	for k, v := range md {
		h[http.CanonicalHeaderKey(k)] = v
	}
	c.take(in, h)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *Collector) take(in *collector.ExportTraceServiceRequest, h http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, h)
	for _, r := range in.ResourceSpans {
		resource := values(r.Resource.GetAttributes())
		for _, s := range r.ScopeSpans {
			for _, p := range s.Spans {
				span := Span{
					Trace: hex.EncodeToString(p.TraceId), ID: hex.EncodeToString(p.SpanId), Parent: hex.EncodeToString(p.ParentSpanId),
					State: p.TraceState, Name: p.Name, Kind: strings.TrimPrefix(p.Kind.String(), "SPAN_KIND_"),
					Start: time.Unix(0, int64(p.StartTimeUnixNano)), End: time.Unix(0, int64(p.EndTimeUnixNano)),
					Attrs: values(p.Attributes), Resource: resource,
				}
				if p.Status.GetCode().String() == "STATUS_CODE_ERROR" {
					span.Error = p.Status.Message
					if span.Error == "" {
						span.Error = "ERROR"
					}
				}
				for _, e := range p.Events {
					span.Events = append(span.Events, Event{e.Name, values(e.Attributes)})
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func values(all []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range all {
		switch v := kv.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			m[kv.Key] = fmt.Sprint(v.BoolValue)
		case *common.AnyValue_DoubleValue:
			m[kv.Key] = fmt.Sprint(v.DoubleValue)
		default:
			m[kv.Key] = kv.Value.String()
		}
	}
	return m
}

// Spans are those that have come so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Headers are those of the requests so far.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

// Await waits for spans of all these names, and returns what has come by then.
func (c *Collector) Await(t testing.TB, names ...string) []Span {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		c.mu.Lock()
		changed, all := c.changed, append([]Span(nil), c.spans...)
		c.mu.Unlock()
		missing := ""
		for _, name := range names {
			if Find(all, name) == nil {
				missing = name
			}
		}
		if missing == "" {
			return all
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("no span %q has come; there are:\n%s", missing, Tree(all))
		}
	}
}

// Find is the first span of a name; nil for none.
func Find(spans []Span, name string) *Span {
	for i := range spans {
		if spans[i].Name == name {
			return &spans[i]
		}
	}
	return nil
}

// Tree shows spans as people read them, each below its parent.
func Tree(spans []Span) string {
	var b strings.Builder
	known := map[string]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	var show func(parent string, depth int)
	show = func(parent string, depth int) {
		for _, s := range spans {
			if s.Parent == parent || parent == "" && !known[s.Parent] {
				fmt.Fprintf(&b, "%s%s (%s, %v)\n", strings.Repeat("  ", depth), s.Name, s.Resource["service.name"], s.End.Sub(s.Start).Round(time.Microsecond))
				show(s.ID, depth+1)
			}
		}
	}
	show("", 0)
	return b.String()
}
