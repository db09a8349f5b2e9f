package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
	"github.com/rpipe-dev/rpipe/tokens"
)

// site is a server of a test, and how it is asked.
type site struct {
	*Server
	c     *client.Client
	store *tokens.Store
}

// config is a file for tests: a directory, a port and tokens of its own.
func config(dir string) *File {
	f := Defaults()
	f.Data, f.Tokens, f.Listen.Address = dir+"/data", dir+"/tokens.json", "127.0.0.1:0"
	f.Durability, f.Log.Access, f.Workers.None = "interval:200ms", "off", true
	f.R.Env = nil
	return f
}

// serve starts a server without workers, unless change says otherwise.
func serve(t testing.TB, change func(*File)) *site {
	t.Helper()
	f := config(t.TempDir())
	if change != nil {
		change(f)
	}
	s := begin(t, f, Options{})
	t.Cleanup(s.close)
	return s
}

func begin(t testing.TB, f *File, o Options) *site {
	t.Helper()
	s, err := launch(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func launch(f *File, o Options) (*site, error) {
	if os.Getenv("RPIPE_TEST_LOG") != "" {
		return launchTo(f, o, os.Stderr)
	}
	return launchTo(f, o, &syncBuffer{})
}

// launchTo is launch with a log of the test's own.
func launchTo(f *File, o Options, out io.Writer) (*site, error) {
	o.Log, o.Version = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})), "test"
	s, err := Start(context.Background(), f, o)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{URL: s.URL(), Retries: -1})
	if err != nil {
		s.Close()
		return nil, err
	}
	store, err := tokens.Open(f.Tokens)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &site{Server: s, c: c, store: store}, nil
}

func (s *site) close() {
	s.c.Close()
	s.Close()
	s.store.Close()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// withR is a server with two R processes, which the tests of this package share.
var withR shared

type shared struct {
	once sync.Once
	s    *site
	dir  string
	err  error
}

func (h *shared) get(t testing.TB) *site {
	t.Helper()
	h.once.Do(func() {
		if h.dir, h.err = os.MkdirTemp("", "rpipe-server-test"); h.err != nil {
			return
		}
		f := config(h.dir)
		f.Workers.None, f.Workers.Max, f.Workers.Queues = false, 2, []string{"default", "second"}
		f.Grace = 1e9
		h.s, h.err = launch(f, Options{})
	})
	if h.err != nil {
		t.Fatal(h.err)
	}
	return h.s
}

func (h *shared) close() {
	if h.s != nil {
		h.s.close()
	}
	os.RemoveAll(h.dir)
}

// token makes one.
func (s *site) token(t testing.TB, owner string, scopes ...tokens.Scope) string {
	t.Helper()
	secret, _, err := s.store.Create(owner, scopes, 0)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// as is a client with a token.
func (s *site) as(t testing.TB, owner string, scopes ...tokens.Scope) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{URL: s.URL(), Token: s.token(t, owner, scopes...), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	// The server looks at the store's file every so often.
	eventually(t, func() bool { _, err := c.Info(t.Context()); return err == nil })
	return c
}

// ask sends a request as it is; header are names and values in turn.
func (s *site) ask(t testing.TB, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// fault asks for what cannot be, and returns what the server says of it.
func (s *site) fault(t testing.TB, want int, method, path, body string, header ...string) api.Fault {
	t.Helper()
	status, _, text := s.ask(t, method, path, body, header...)
	var f api.Fault
	if err := json.Unmarshal([]byte(text), &f); err != nil || status != want || f.Code == "" || f.Message == "" {
		t.Errorf("%s %s %s: %d %s, want %d", method, path, body, status, text, want)
	}
	return f
}

// submit submits a document.
func submit(t testing.TB, c *client.Client, document string) *api.Job {
	t.Helper()
	var in api.Submission
	if err := json.Unmarshal([]byte(document), &in); err != nil {
		t.Fatal(err)
	}
	j, err := c.Submit(t.Context(), &in)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return j
}

// ended waits for jobs or tasks.
func ended(t testing.TB, c *client.Client, ids ...string) *api.WaitResult {
	t.Helper()
	r, err := c.Wait(t.Context(), api.WaitRequest{IDs: ids, Timeout: api.For(2 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Done {
		t.Fatalf("%v have not ended: %+v", ids, r)
	}
	return r
}

// eventually polls for what happens in its own time.
func eventually(t testing.TB, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(end) {
			t.Fatal("it has not come to be within a minute")
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// text is R source text.
func text(code string) *api.Value {
	b, err := json.Marshal(code)
	if err != nil {
		panic(err)
	}
	return &api.Value{JSON: b}
}

type filterT = client.Filter

func filter(change func(*filterT)) filterT {
	var f filterT
	change(&f)
	return f
}

func withLocal(ctx context.Context, a net.Addr) context.Context {
	return context.WithValue(ctx, http.LocalAddrContextKey, a)
}
