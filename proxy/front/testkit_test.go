package front

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// decoded reads a configuration as a file has it, defaults filled in.
func decoded[T any](t testing.TB, text string) (c T) {
	t.Helper()
	doc, problems := configs.Parse("test.yaml", []byte("x-test: 1\n"+text), configs.Variables{})
	if len(problems) == 0 {
		problems = configs.Decode(doc, &c)
	}
	for _, p := range problems {
		t.Fatal(p)
	}
	return c
}

// site is a front that serves, and what is known of it.
type site struct {
	*Front
	t    testing.TB
	log  *logged
	done chan done // what the observer heard
}

type done struct {
	exchange.Exchange
	status  int
	written int64
}

// setup is a site to be.
type setup struct {
	listen string // YAML
	policy string // YAML; no guard where it is "-"
	log    string // YAML of Log; "" writes none
	deps   Deps
	pipes  *pipes // in place of the network, for tests of time
}

func (s setup) start(t testing.TB, h http.HandlerFunc) *site {
	t.Helper()
	if !strings.Contains(s.listen, "address") {
		s.listen = "address: 127.0.0.1:0\n" + s.listen
	}
	out := &site{t: t, log: new(logged), done: make(chan done, 1000)}
	s.deps.Log = slog.New(slog.NewTextHandler(out.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.deps.Observer = heard(out.done)
	s.deps.TempDir = t.TempDir()
	if s.log != "" {
		s.deps.Access = decoded[Log](t, s.log)
	}
	c := decoded[Listen](t, s.listen)
	var f *Front
	var err error
	if s.pipes != nil {
		f, err = newFront(c, s.deps, s.pipes)
	} else {
		f, err = New(c, s.deps)
	}
	if err != nil {
		t.Fatal(err)
	}
	out.Front = f
	next := http.Handler(h)
	if s.policy != "-" {
		p := decoded[Policy](t, s.policy)
		guard, err := f.Guard(&p)
		if err != nil {
			t.Fatal(err)
		}
		next = guard(h)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(context.Background(), next) }()
	t.Cleanup(func() {
		f.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return out
}

// heard is an observer that passes on what it hears.
type heard chan done

func (h heard) Done(x *exchange.Exchange, r *http.Request, status int, written int64, took time.Duration) {
	select {
	case h <- done{*x, status, written}:
	default: // a test of very many, which does not look
	}
}

func (s *site) url(path string) string { return "http://" + s.Addr().String() + path }

// do asks over a connection of its own.
func (s *site) do(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

func (s *site) get(path string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	return s.do("GET", path, "", headers...)
}

// dial is a raw connection.
func (s *site) dial() *raw {
	s.t.Helper()
	var c net.Conn
	var err error
	if p, ok := s.listener.(*pipes); ok {
		c = p.dial()
	} else if c, err = net.Dial(s.Addr().Network(), s.Addr().String()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return &raw{Conn: c, in: bufio.NewReader(c), t: s.t}
}

type raw struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

func (c *raw) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one, with its body.
func (c *raw) answer() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// rest is what comes until the other side closes.
func (c *raw) rest() string {
	b, _ := io.ReadAll(c.in)
	return string(b)
}

// logged is a log that tests can wait for.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait returns when the log has the text.
func (l *logged) wait(t testing.TB, text string) {
	t.Helper()
	for {
		l.mu.Lock()
		if strings.Contains(l.text.String(), text) {
			l.mu.Unlock()
			return
		}
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("the log never had %q", text)
		}
	}
}

// pipes is a listener whose connections are in memory, so that their time can be
// that of testing/synctest.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func contains(text string, all ...string) bool {
	for _, one := range all {
		if !strings.Contains(text, one) {
			return false
		}
	}
	return true
}
