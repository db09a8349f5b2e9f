//go:build unix

package plumber

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// server is an API that is served over HTTP for a test.
type server struct {
	*API
	addr string
	pool *rpool.Pool
	stop func() // drains it and ends its workers
	log  *lockedBuffer

	mu   sync.Mutex
	last exchange.Exchange // of the request that was answered last
}

// settings are what tests change.
type settings struct {
	config Config
	site   Site
	env    rpool.Environment
	pool   rpool.Options
	fault  fault.Writer
}

// serve brings an API up, with one worker if nothing else is said.
func serve(t *testing.T, s settings) *server {
	t.Helper()
	a, err := try(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(t *testing.T, s settings) (*server, error) {
	t.Helper()
	if s.pool.Max == 0 {
		s.pool.Max = 1
	}
	var log lockedBuffer
	if s.pool.Log == nil {
		s.pool.Log = slog.New(slog.DiscardHandler)
	}
	pool, err := rpool.New(s.pool)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(s.config.Root())
	if err != nil {
		t.Fatal(err)
	}
	s.env.Dir = dir
	env := Environment(&s.env, &s.config, s.site)
	api, err := New(t.Context(), Options{
		Pool: pool, Env: env, Config: &s.config, Log: log.logger(), Fault: s.fault, Prefix: s.site.Prefix,
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	v := &server{API: api, pool: pool, log: &log}
	v.stop = sync.OnceFunc(func() {
		api.Drain(context.Background())
		pool.Close()
	})
	t.Cleanup(v.stop)
	var handler http.Handler = api
	if s.site.Prefix != "" {
		handler = http.StripPrefix(s.site.Prefix, handler)
	}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		x.ID = "the-id"
		handler.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
		v.mu.Lock()
		defer v.mu.Unlock()
		v.last = *x
	}))
	t.Cleanup(h.Close)
	v.addr = h.Listener.Addr().String()
	return v, nil
}

// exchange is that of the request that was answered last over a connection that
// has been read to its end.
func (s *server) exchange() exchange.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// api is an API of one file with the text given.
func api(t *testing.T, text string) Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plumber.R")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{File: path, Docs: true, Static: true, Retry: true}
}

// call is a request, and what makes it special to compare.
type call struct {
	method, target string
	headers        []string // "Name: value"
	body           string
	chunked        bool
}

// answer is what came back, header names as they were sent.
type answer struct {
	status  int
	headers [][2]string
	body    []byte
}

func (a *answer) get(name string) string {
	for _, h := range a.headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// send makes a request over a connection of its own and reads headers as they
// stand, which net/http would not.
func send(t *testing.T, addr string, c call) *answer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: example.test:8080\r\nConnection: close\r\n", c.method, c.target)
	for _, h := range c.headers {
		b.WriteString(h + "\r\n")
	}
	switch {
	case c.chunked:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(c.body), c.body)
	case c.body != "":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(c.body), c.body)
	default:
		b.WriteString("\r\n")
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, conn, c.method, addr+" "+c.method+" "+c.target)
}

func readAnswer(t *testing.T, from io.Reader, method, what string) *answer {
	t.Helper()
	r := bufio.NewReader(from)
	var head bytes.Buffer
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no answer to %s: %v after %q", what, err, head.String())
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			break
		}
		head.WriteString(line + "\n")
	}
	lines := strings.Split(strings.TrimSuffix(head.String(), "\n"), "\n")
	a := &answer{}
	if _, err := fmt.Sscanf(lines[0], "HTTP/1.1 %d", &a.status); err != nil {
		t.Fatalf("status line %q: %v", lines[0], err)
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		a.headers = append(a.headers, [2]string{name, strings.TrimSpace(value)})
	}
	if method == http.MethodHead || a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		return a
	}
	if a.get("Transfer-Encoding") != "" {
		t.Fatalf("the answer is chunked")
	}
	var err error
	a.body, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// get is send for a GET, of which only the text matters.
func (s *server) get(t *testing.T, target string, headers ...string) (int, string) {
	t.Helper()
	a := send(t, s.addr, call{method: "GET", target: target, headers: headers})
	return a.status, string(a.body)
}
