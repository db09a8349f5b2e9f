package trace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/internal/otlptest"
	"github.com/rpipe-dev/rpipe/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB, c trace.Config) *trace.Tracer {
	t.Helper()
	tr, err := trace.New(t.Context(), c, trace.Service{Name: "rpipe-test", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// rError is an error as R's are.
type rError struct{}

func (rError) Error() string { return "R error in f(x): no" }
func (rError) Exception() (class, message, stack string) {
	return "simpleError", "no", "f(x)\nstop(\"no\")"
}

func TestSpansReachACollector(t *testing.T) {
	for _, protocol := range []string{"http", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			to := otlptest.Start(t)
			url := to.HTTP
			if protocol == "grpc" {
				url = to.GRPC
			}
			tr := start(t, trace.Config{
				Endpoint: url, Protocol: protocol, Sample: 1, Headers: map[string]configs.Secret{"Authorization": "Bearer hunter2"},
				Attributes: map[string]string{"deployment.environment.name": "test"},
			})
			ctx, root := tr.Start(t.Context(), "request", trace.Server)
			below, span := trace.Start(ctx, "work")
			span.Set(trace.Int("n", 3))
			_, other := trace.Start(below, "more")
			other.End(errors.New("plain"))
			span.End(fmt.Errorf("wrapped: %w", rError{}))
			root.End(nil)
			if err := tr.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			spans := to.Await(t, "request", "work", "more")
			request, work, more := otlptest.Find(spans, "request"), otlptest.Find(spans, "work"), otlptest.Find(spans, "more")
			switch {
			case request.Parent != "" || work.Parent != request.ID || more.Parent != work.ID || more.Trace != request.Trace:
				t.Errorf("they are not below each other:\n%s", otlptest.Tree(spans))
			case request.Kind != "SERVER" || request.Error != "" || work.Attrs["n"] != "3":
				t.Errorf("got %+v and %+v", request, work)
			case request.Resource["service.name"] != "rpipe-test" || request.Resource["service.version"] != "v1" || request.Resource["deployment.environment.name"] != "test":
				t.Errorf("the service is %v", request.Resource)
			case work.Error != "no" || len(work.Events) != 1 || work.Events[0].Name != "exception":
				t.Errorf("the error is %q, %+v", work.Error, work.Events)
			case work.Events[0].Attrs["exception.type"] != "simpleError" || work.Events[0].Attrs["exception.stacktrace"] != "f(x)\nstop(\"no\")":
				t.Errorf("the exception is %v", work.Events[0].Attrs)
			case more.Error != "plain" || more.Events[0].Attrs["exception.message"] != "plain":
				t.Errorf("the error is %q, %+v", more.Error, more.Events)
			case to.Headers()[0].Get("Authorization") != "Bearer hunter2":
				t.Errorf("the headers are %v", to.Headers()[0])
			}
			if got := tr.Counts(); got.Sent != 3 || got.Failed != 0 {
				t.Errorf("counts %+v", got)
			}
		})
	}
}

// TestTextsOfAnyKindReachTheCollector, or else one span keeps those beside it from there,
// too: what a client asks for need not be UTF-8, nor what R says.
func TestTextsOfAnyKindReachTheCollector(t *testing.T) {
	to := otlptest.Start(t)
	tr := start(t, trace.Config{Endpoint: to.HTTP, Protocol: "http", Sample: 1, Attributes: map[string]string{"team": "a\xff"}})
	ctx, root := tr.Start(t.Context(), "a\xff", trace.Server)
	attrs := []trace.Attr{trace.String("url.path", "/\xff"), trace.Strings("all", []string{"é", "b\xff"}), trace.Int("n", 3)}
	root.Set(attrs...)
	root.Event("e\xff", attrs...)
	root.Part("part\xff", time.Now(), time.Now(), attrs...)
	_, below := trace.Start(ctx, "below\xff")
	below.Name("renamed\xff")
	below.End(errors.New("no\xff"))
	root.Fail("c\xff", strings.Repeat("\xbf", 1000), "s\xff")
	root.End(nil)
	if err := tr.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := to.Await(t, "a\uFFFD", "part\uFFFD", "renamed\uFFFD")
	got := otlptest.Find(spans, "a\uFFFD")
	if got.Attrs["url.path"] != "/\uFFFD" || got.Attrs["n"] != "3" || got.Resource["team"] != "a\uFFFD" || attrs[0].Value.AsString() != "/\xff" {
		t.Errorf("got %+v", got)
	}
	if below := otlptest.Find(spans, "renamed\uFFFD"); below.Error != "no\uFFFD" {
		t.Errorf("got %+v", below)
	}
}

const (
	parent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsample = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

func TestATraceGoesOnFromAnotherProcess(t *testing.T) {
	to := otlptest.Start(t)
	tr := start(t, trace.Config{Endpoint: to.HTTP, Protocol: "http", Sample: 0})
	ctx, span := tr.Start(trace.Remote(t.Context(), parent, "vendor=x"), "sampled elsewhere", trace.Server)
	here, state := trace.Header(ctx)
	span.End(nil)
	if !span.On() || !strings.HasPrefix(here, parent[:36]) || here == parent || state != "vendor=x" {
		t.Errorf("on %v, told on %q %q", span.On(), here, state)
	}
	ctx, off := tr.Start(trace.Remote(t.Context(), unsample, ""), "not sampled elsewhere", trace.Server)
	if off.On() {
		t.Error("a span is recorded that its trace does not want")
	}
	if here, _ := trace.Header(ctx); !strings.HasSuffix(here, "-00") || !strings.HasPrefix(here, unsample[:36]) {
		t.Errorf("told on %q", here)
	}
	if _, own := tr.Start(t.Context(), "root", trace.Server); own.On() {
		t.Error("sample 0 records a trace of its own")
	}
	tr.Flush(t.Context())
	got := to.Await(t, "sampled elsewhere")
	if len(got) != 1 || got[0].Parent != "b7ad6b7169203331" || got[0].Trace != "0af7651916cd43dd8448eb211c80319c" || got[0].State != "vendor=x" {
		t.Errorf("got %+v", got)
	}
}

func TestWithoutATracerAParentIsPassedOn(t *testing.T) {
	var none *trace.Tracer
	f := func(in, want string) {
		t.Helper()
		ctx, span := none.Start(trace.Remote(t.Context(), in, ""), "x", trace.Server)
		if got, _ := trace.Header(ctx); got != want || span.On() {
			t.Errorf("%q: told on %q, on %v", in, got, span.On())
		}
	}
	f(parent, parent)
	f(unsample, unsample)
	f("", "")
	f("00-00000000000000000000000000000000-b7ad6b7169203331-01", "")
	f("nonsense", "")
	f(strings.Repeat("0", 5000), "")
	if id := trace.ID(trace.Remote(t.Context(), parent, "")); id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the id is %q", id)
	}
	if err := none.Close(); err != nil || none.Flush(t.Context()) != nil || none.Counts() != (trace.Counts{}) {
		t.Error("a nil tracer does something")
	}
}

func TestACollectorThatIsAwayIsSaidOnce(t *testing.T) {
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer away.Close()
	var log bytes.Buffer
	tr, err := trace.New(t.Context(), trace.Config{Endpoint: away.URL, Protocol: "http", Sample: 1}, trace.Service{Name: "x", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, s := tr.Start(t.Context(), "lost", trace.Internal)
		s.End(nil)
		tr.Flush(t.Context())
	}
	if got := tr.Counts(); got.Failed != 2 || got.Sent != 0 {
		t.Errorf("counts %+v", got)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 || !strings.Contains(log.String(), away.URL) {
		t.Errorf("said %d times:\n%s", n, &log)
	}
}

// TestWhatDoesNotFitIsCounted, and said: a collector that is slow has spans left out before
// they are sent.
func TestWhatDoesNotFitIsCounted(t *testing.T) {
	answer := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-answer
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer slow.Close()
	var log bytes.Buffer
	tr, err := trace.New(t.Context(), trace.Config{Endpoint: slow.URL, Protocol: "http", Sample: 1}, trace.Service{Name: "x", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	const queue, beyond = 8192, 1000 // as docs/tracing.md says
	for range queue + beyond {
		_, s := tr.Start(t.Context(), "work", trace.Internal)
		s.End(nil)
	}
	if got := tr.Counts(); got.Failed != beyond || got.Sent != 0 {
		t.Errorf("counts %+v", got)
	}
	if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
	close(answer)
	if err := tr.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if got := tr.Counts(); got.Failed != beyond || got.Sent != queue {
		t.Errorf("counts %+v", got)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

func TestOffCostsNoMemory(t *testing.T) {
	ctx := t.Context()
	var none *trace.Tracer
	if n := testing.AllocsPerRun(100, func() { off(ctx, none) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func off(ctx context.Context, tr *trace.Tracer) {
	ctx, root := tr.Start(ctx, "request", trace.Server)
	if root.On() {
		root.Set(trace.Int("n", 3))
	}
	ctx, span := trace.Start(ctx, "work")
	if span.On() {
		span.Set(trace.Int("n", 3))
	}
	trace.Header(ctx)
	span.End(nil)
	root.End(nil)
}

// BenchmarkSpan is the cost of a span below another: without a collector, in a trace
// that is not sampled, and recorded.
func BenchmarkSpan(b *testing.B) {
	b.Run("off", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			off(b.Context(), nil)
		}
	})
	to := otlptest.Start(b)
	for _, c := range []struct {
		name   string
		sample float64
	}{{"not sampled", 0}, {"on", 1}} {
		b.Run(c.name, func(b *testing.B) {
			tr := start(b, trace.Config{Endpoint: to.HTTP, Protocol: "http", Sample: c.sample})
			b.ReportAllocs()
			for b.Loop() {
				off(b.Context(), tr)
			}
		})
	}
}
