package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// leaving is a handler that works until its client has gone, and says why it ended.
func leaving(began chan<- string, ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			fmt.Fprint(w, "quick")
			return
		}
		began <- r.URL.Path
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
		fault.Writer{}.Write(w, r, context.Cause(r.Context()))
	}
}

func TestWorkEndsWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	began, ended := make(chan string), make(chan error)
	s := setup{}.start(t, leaving(began, ended))
	f := func(name, first, second string) {
		t.Helper()
		c := s.dial()
		c.send("%s", first)
		if second != "" { // what came before is answered
			if _, body := c.answer(); body != "quick" {
				t.Fatalf("%s: %q", name, body)
			}
			c.send("%s", second)
		}
		<-began
		c.Close()
		if err := <-ended; !errors.Is(err, fault.ErrClientGone) {
			t.Errorf("%s: %v", name, err)
		}
		for d := range s.done {
			if d.status != 200 {
				if d.status != 499 {
					t.Errorf("%s: status %d", name, d.status)
				}
				break
			}
		}
	}
	const quick, work = "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n", "GET /work HTTP/1.1\r\nHost: a\r\n\r\n"
	f("at once", work, "")
	f("on a connection that was kept", quick, work)
	f("with a body", "POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "")
	f("with a body in chunks", "POST /work HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "")
	f("after a body", "POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", work)
	f("HTTP/1.0", "GET /work HTTP/1.0\r\n\r\n", "")
	f("pipelined in one write", work+quick, "")
}

// net/http looks one byte ahead, which is that of the next request.
func TestWorkEndsWhenAClientThatSentMoreLeaves(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can be asked whether a connection has ended behind what it sent")
	}
	t.Parallel()
	began, ended := make(chan string), make(chan error)
	s := setup{}.start(t, leaving(began, ended))
	c := s.dial()
	c.send("GET /work HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	c.send("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
	c.Close()
	if err := <-ended; !errors.Is(err, fault.ErrClientGone) {
		t.Error(err)
	}
}

func TestAClientThatWaitsIsNotGone(t *testing.T) {
	t.Parallel()
	work := make(chan struct{})
	s := setup{listen: "body_timeout: 100ms\nheader_timeout: 100ms\nwrite_timeout: 100ms\nidle_timeout: 100ms"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		<-work
		if err := r.Context().Err(); err != nil {
			t.Errorf("%s: %v", r.URL.Path, context.Cause(r.Context()))
		}
		io.Copy(w, r.Body)
	})
	get, post := s.dial(), s.dial()
	get.send("GET /get HTTP/1.1\r\nHost: a\r\n\r\n")
	post.send("POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	// All the limits pass meanwhile: an idle connection is closed after one.
	s.dial().rest()
	idle := s.dial()
	idle.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	idle.rest()
	close(work)
	if resp, _ := get.answer(); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if _, body := post.answer(); body != "abc" {
		t.Error(body)
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			w.Header().Set("X-Half", "1")
			panic("oh no")
		case "/late":
			w.Write([]byte("half"))
			http.NewResponseController(w).Flush()
			panic("oh no")
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "fine")
	})
	c := s.dial()
	c.send("GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, body := c.answer()
	id := resp.Header.Get("X-Request-Id")
	if resp.StatusCode != 500 || resp.Header.Get("X-Half") != "" || id == "" || !contains(body, `"internal"`, id) || contains(body, "oh no") {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	if d := <-s.done; d.status != 500 || d.Err == nil {
		t.Errorf("%d %v", d.status, d.Err)
	}
	if !contains(s.log.String(), "oh no", "gone_test.go", id) {
		t.Errorf("the log: %s", s.log)
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, body := c.answer(); body != "fine" {
		t.Error(body)
	}
	for _, path := range []string{"/late", "/abort"} {
		c := s.dial()
		c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		if rest := c.rest(); contains(rest, "\r\n0\r\n\r\n") || path == "/abort" && rest != "" {
			t.Errorf("%s: %q looks whole", path, rest)
		}
		if d := <-s.done; d.Err == nil && d.status != 200 {
			t.Errorf("%s: %+v", path, d)
		}
	}
}
