package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

func TestShutdownAnswersWhatCameIn(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}, 1), make(chan struct{})
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			began <- struct{}{}
			<-release
		}
		io.WriteString(w, "done")
	})
	busy, idle := s.dial(), s.dial()
	late, spare := s.dial(), s.dial() // have said nothing yet
	idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	idle.answer()
	busy.send("GET /work HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	ended := make(chan error)
	go func() { ended <- s.Shutdown(t.Context()) }()
	s.log.wait(t, "no connection is accepted any more")
	if s.Ready() {
		t.Error("ready while it shuts down")
	}
	// Those that were just being sent when the end began.
	for _, c := range []*raw{idle, late} {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := c.answer(); body != "done" || !resp.Close {
			t.Errorf("%q, close %v", body, resp.Close)
		}
	}
	spare.rest()
	close(release)
	if resp, body := busy.answer(); body != "done" || resp.StatusCode != 200 {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(s.url("/")); err == nil {
		t.Error("it still listens")
	}
}

func TestShutdownCancelsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		fault.Writer{}.Write(w, r, context.Cause(r.Context()))
	})
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	late := errors.New("that was the grace")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- s.Shutdown(ctx) }()
	if resp, body := c.answer(); resp.StatusCode != 503 || !strings.Contains(body, `"draining"`) || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if err := <-ended; !errors.Is(err, late) || !strings.Contains(err.Error(), "1 requests") {
		t.Error(err)
	}
}

// What a hijacked connection carries is waited for like any other request.
func TestShutdownWaitsForStreams(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}), make(chan struct{})
	s := setup{policy: "compress: {}\nmax_response: 10B"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		close(began)
		<-release
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n" + strings.Repeat("over and out ", 10))
		rw.Flush()
	})
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAccept-Encoding: gzip\r\n\r\n")
	<-began
	ended := make(chan error)
	go func() { ended <- s.Shutdown(t.Context()) }()
	close(release)
	if got := c.rest(); !strings.HasSuffix(got, "over and out ") {
		t.Errorf("%q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if d := <-s.done; d.status != 101 {
		t.Errorf("status %d", d.status)
	}
}

// Nobody who gets in before the listener closes loses a request.
func TestShutdownUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	transport := &http.Transport{MaxIdleConnsPerHost: 10}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var answered atomic.Int64
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				// POST: the client does not try again by itself.
				resp, err := client.Post(s.url("/"), "text/plain", bytes.NewReader([]byte("x")))
				if err != nil {
					if !strings.Contains(err.Error(), "connection refused") {
						t.Error(err)
					}
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != "fine" || err != nil {
					t.Errorf("%q, %v", body, err)
				}
				if answered.Add(1) == 500 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	clients.Wait()
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		if err := context.Cause(r.Context()); !errors.Is(err, fault.ErrDraining) {
			t.Error(err)
		}
	})
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	s.Close()
	c.rest()
	select {
	case <-s.done:
	default:
		t.Error("a handler runs on")
	}
}

func TestConnectionsHaveABound(t *testing.T) {
	t.Parallel()
	s := setup{listen: "max_connections: 2"}.start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	a, b, c := s.dial(), s.dial(), s.dial()
	for _, one := range []*raw{a, b} {
		one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		one.answer()
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if n := len(s.conns.all()); n != 2 {
		t.Errorf("%d connections", n)
	}
	a.Close()
	if _, body := c.answer(); body != "fine" {
		t.Error(body)
	}
}

func TestAFrontThatNeverServedEnds(t *testing.T) {
	t.Parallel()
	f, err := New(decoded[Listen](t, "address: 127.0.0.1:0"), Deps{TempDir: t.TempDir()})
	must(t, err)
	must(t, f.Shutdown(t.Context()))
	must(t, f.Serve(t.Context(), http.NotFoundHandler()))
	if _, err := http.Get("http://" + f.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f, err := New(decoded[Listen](t, "address: 127.0.0.1:0"), Deps{TempDir: t.TempDir()})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- f.Serve(ctx, http.NotFoundHandler()) }()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
