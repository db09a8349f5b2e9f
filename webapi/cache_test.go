package webapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// counting is a Doer that answers with the number of the request.
type counting struct {
	n    atomic.Int32
	wait time.Duration
	err  error
	fill string
}

func (c *counting) Do(ctx context.Context, r *Request) (*Response, error) {
	n := c.n.Add(1)
	time.Sleep(c.wait) // in a bubble
	if c.err != nil {
		return nil, c.err
	}
	return &Response{Status: 200, Header: http.Header{"Etag": {"e"}, "Set-Cookie": {"hush"}}, Body: fmt.Appendf(nil, "answer %d%s", n, c.fill), URL: r.URL, Tries: 1}, nil
}

func cacheOf(t *testing.T, dir string, next Doer, auth *Auth, change ...func(*CacheConfig)) *Cache {
	t.Helper()
	config := &CacheConfig{Path: "kept", TTL: configs.Duration(time.Hour), MaxSize: 1 << 30}
	for _, f := range change {
		f(config)
	}
	c, err := NewCache(config, next, auth, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheSameRequestIsAskedOnceAcrossRuns(t *testing.T) {
	dir := t.TempDir()
	next := new(counting)
	f := func(auth *Auth, r Request, want string, tries int) {
		t.Helper()
		resp, err := cacheOf(t, dir, next, auth).Do(t.Context(), &r)
		if err != nil || string(resp.Body) != want || resp.Tries != tries || resp.Header.Get("Etag") != "e" {
			t.Errorf("%+v: %+v %s %v", r, resp, resp.Body, err)
		}
	}
	f(nil, Request{Method: "GET", URL: "http://x/1"}, "answer 1", 1)
	f(nil, Request{Method: "GET", URL: "http://x/1"}, "answer 1", 0)
	f(nil, Request{Method: "GET", URL: "http://x/2"}, "answer 2", 1)
	f(nil, Request{Method: "POST", URL: "http://x/1"}, "answer 3", 1)
	f(nil, Request{Method: "POST", URL: "http://x/1", Body: []byte("b")}, "answer 4", 1)
	f(nil, Request{Method: "POST", URL: "http://x/1", Body: []byte("b")}, "answer 4", 0)
	f(nil, Request{Method: "GET", URL: "http://x/1", Header: http.Header{"Accept": {"a"}}}, "answer 5", 1)
	f(&Auth{Bearer: "one"}, Request{Method: "GET", URL: "http://x/1"}, "answer 6", 1)
	f(&Auth{Bearer: "two"}, Request{Method: "GET", URL: "http://x/1"}, "answer 7", 1)
	f(&Auth{Bearer: "one"}, Request{Method: "GET", URL: "http://x/1"}, "answer 6", 0)
	for _, path := range files(t, dir) {
		b, _ := os.ReadFile(path)
		info, _ := os.Stat(path)
		if strings.Contains(string(b), "hush") || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others or has a secret: %v %s", path, info.Mode(), b)
		}
	}
}

func TestAnswersAreForOneCertificateAlone(t *testing.T) {
	dir := t.TempDir()
	key := func(cert string) string {
		return cacheOf(t, dir, &Client{config: &Config{TLS: TLS{CertFile: cert}}}, nil).key(&Request{Method: "GET", URL: "https://x/"})
	}
	if a, b := key("a.pem"), key("b.pem"); a == b || a == key("") || a != key("a.pem") {
		t.Errorf("keys %s, %s, %s", a, b, key(""))
	}
}

func TestASpoiltFileCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	next := new(counting)
	r := &Request{Method: "GET", URL: "http://x/"}
	for n, spoil := range []func(b []byte) []byte{
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		func(b []byte) []byte { return make([]byte, len(b)) },
		func(b []byte) []byte { return append(b, 'x') },
	} {
		c := cacheOf(t, dir, next, nil)
		c.Do(t.Context(), r)
		path := files(t, dir)[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, spoil(b), 0o600); err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(t.Context(), r)
		if err != nil || resp.Tries != 1 || string(resp.Body) != fmt.Sprintf("answer %d", n+2) {
			t.Errorf("file %d: %+v %v", n, resp, err)
		}
	}
}

func TestThoseWhoAskAtOnceWaitForOneAnswer(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{wait: time.Second}
		c := cacheOf(t, dir, next, nil)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if resp, err := c.Do(t.Context(), &Request{Method: "GET", URL: "http://x/"}); err != nil || string(resp.Body) != "answer 1" {
					t.Error(resp, err)
				}
			})
		}
		wg.Wait()
		if next.n.Load() != 1 {
			t.Errorf("asked %d times", next.n.Load())
		}
	})
}

// stopping answers the first request when its context ends, as one does that is
// under way then.
type stopping struct{ counting }

func (s *stopping) Do(ctx context.Context, r *Request) (*Response, error) {
	if s.n.Load() == 0 {
		s.n.Add(1)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.counting.Do(ctx, r)
}

func TestWhoIsStoppedDoesNotFailThoseWhoWaitForTheSameAnswer(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(t, dir, new(stopping), nil)
		ask := func(ctx context.Context) (*Response, error) {
			return c.Do(ctx, &Request{Method: "GET", URL: "http://x/"})
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := ask(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("who was stopped got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if resp, err := ask(t.Context()); err != nil || string(resp.Body) != "answer 2" {
				t.Errorf("who waited got %v", err)
			}
		})
		synctest.Wait()
		stop()
		wg.Wait()
	})
}

func TestErrorsAreNotKept(t *testing.T) {
	next := &counting{err: &Error{Status: 500}}
	c := cacheOf(t, t.TempDir(), next, nil)
	for range 2 {
		var e *Error
		if _, err := c.Do(t.Context(), &Request{Method: "GET", URL: "http://x/"}); !errors.As(err, &e) {
			t.Error(err)
		}
	}
	if next.n.Load() != 2 {
		t.Errorf("asked %d times", next.n.Load())
	}
}

func TestAnswersGrowOldAndAreSwept(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{fill: strings.Repeat("x", 1000)}
		c := cacheOf(t, dir, next, nil)
		ask := func(n int) int {
			resp, err := c.Do(t.Context(), &Request{Method: "GET", URL: fmt.Sprintf("http://x/%d", n)})
			if err != nil {
				t.Fatal(err)
			}
			return resp.Tries
		}
		ask(1)
		if ask(1) != 0 {
			t.Error("it was asked twice within its hour")
		}
		time.Sleep(61 * time.Minute)
		if ask(1) != 1 {
			t.Error("an answer was good for more than its hour")
		}
	})
	c := cacheOf(t, dir, &counting{fill: strings.Repeat("x", 1000)}, nil, func(c *CacheConfig) { c.MaxSize = 3000; c.TTL = 0 })
	for n := range 5 {
		r := &Request{Method: "GET", URL: fmt.Sprintf("http://y/%d", n)}
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(time.Duration(n-10) * time.Minute)
		if err := os.Chtimes(c.file(c.key(r)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Sweep(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for n := range 5 {
		if _, err := os.Stat(c.file(c.key(&Request{Method: "GET", URL: fmt.Sprintf("http://y/%d", n)}))); err == nil {
			left = append(left, fmt.Sprint(n))
		}
	}
	if s := strings.Join(left, " "); s != "4" && s != "3 4" {
		t.Errorf("of five answers these are left: %s", s)
	}
}
