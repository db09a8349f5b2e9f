//go:build unix

package httpuv

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/proxy/plumber"
	"github.com/rpipe-dev/rpipe/rpool"
)

// common is the pool of all tests, so that those that serve the same files share a
// template: it takes R a second or more to come up.
var common = &commons{dirs: map[string]string{}}

type commons struct {
	mu   sync.Mutex
	pool *rpool.Pool
	out  lines
	dirs map[string]string // of files, by what is in them
}

func (c *commons) get() (*rpool.Pool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pool != nil {
		return c.pool, nil
	}
	var err error
	c.pool, err = rpool.New(rpool.Options{
		Max: 16, IdleTimeout: time.Hour, Grace: 2 * time.Second,
		Log: slog.New(slog.NewTextHandler(&c.out, nil)), Output: c.heard,
	})
	return c.pool, err
}

func (c *commons) heard(pid int, line string) { fmt.Fprintln(&c.out, pid, line) }

// dir is a directory with files in it.
func (c *commons) dir(t *testing.T, files map[string]string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(files)
	if dir := c.dirs[key]; dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "httpuv-test-")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.dirs[key] = dir
	return dir
}

func (c *commons) close() error {
	for _, dir := range c.dirs {
		os.RemoveAll(dir)
	}
	if c.pool == nil {
		return nil
	}
	return c.pool.Close()
}

// served is an R file behind a Transport behind a real HTTP server.
type served struct {
	*Transport
	t   *testing.T
	url string
}

// serve serves c from a directory with files in it; change may set options.
func serve(t *testing.T, c Config, files map[string]string, change func(*Options)) *served {
	t.Helper()
	s, err := attempt(t, c, files, change)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func attempt(t *testing.T, c Config, files map[string]string, change func(*Options)) (*served, error) {
	t.Helper()
	c = filled(c)
	o := Options{Config: &c, Log: slog.New(slog.NewTextHandler(&common.out, nil)), Fault: fault.Writer{Details: true}, Grace: 2 * time.Second}
	var err error
	if o.Pool, err = common.get(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	router := ""
	if c.Kind == Plumber && c.Dir != "" {
		router = plumber.Router(&plumber.Config{Dir: c.Dir})
	}
	o.Env = c.Environment(&rpool.Environment{
		Dir: filepath.Join(common.dir(t, files), c.Root()), Start: rpool.StartFork,
		Env: []string{"R_PROFILE_USER=/dev/null", "R_ENVIRON_USER=/dev/null"},
	}, router)
	tr, err := New(t.Context(), o)
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(tr)
	s := &served{Transport: tr, t: t, url: server.URL}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		tr.Drain(ctx)
		http.DefaultClient.CloseIdleConnections()
		server.Close()
		if t.Failed() {
			t.Log(common.out.String())
		}
	})
	return s, nil
}

// filled is c with the defaults that a file would have.
func filled(c Config) Config {
	var d Config
	configs.SetDefaults(&d)
	orElse(&c.Kind, d.Kind)
	orElse(&c.Sticky, d.Sticky)
	orElse(&c.Cookie, d.Cookie)
	orElse(&c.Workers.Min, d.Workers.Min)
	orElse(&c.Workers.IdleTimeout, d.Workers.IdleTimeout)
	orElse(&c.Websocket, d.Websocket)
	orElse(&c.MaxResponse, d.MaxResponse)
	orElse(&c.Start, d.Start)
	return c
}

// get is the status and the body of a path.
func (s *served) get(path string) (int, string) {
	s.t.Helper()
	resp, body := s.do(http.MethodGet, path, "", nil)
	return resp.StatusCode, body
}

func (s *served) do(method, path, body string, header http.Header) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(b)
}

// socket opens a websocket.
func (s *served) socket(path string, header http.Header) *websocket.Conn {
	s.t.Helper()
	c, _, err := websocket.Dial(s.t.Context(), s.url+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetReadLimit(1 << 30)
	s.t.Cleanup(func() { c.CloseNow() })
	return c
}

// say sends text and returns the next message.
func say(t *testing.T, c *websocket.Conn, text string) string {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return hear(t, c)
}

func hear(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	_, b, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lines collects what R and the log say.
type lines struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// eventually waits until holds is true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}
