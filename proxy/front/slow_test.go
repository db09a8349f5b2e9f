package front

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// drop sends what is left of a request at n bytes a second, until it is all sent
// or the other side has closed.
func (c *raw) drop(text string, n int) {
	for i := 0; i < len(text); i += n {
		time.Sleep(time.Second) // of the bubble
		if _, err := io.WriteString(c, text[i:min(len(text), i+n)]); err != nil {
			return
		}
	}
}

func TestHeadersByDropsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup{pipes: newPipes()}.start(t, func(http.ResponseWriter, *http.Request) { t.Error("it came in") })
		start := time.Now()
		c := s.dial()
		var sending sync.WaitGroup
		sending.Go(func() { c.drop("GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 1000), 1) })
		c.rest()
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("closed after %v, want header_timeout", took)
		}
		sending.Wait()
	})
}

func TestABodyByDropsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup{pipes: newPipes()}.start(t, func(http.ResponseWriter, *http.Request) { t.Error("it came in") })
		for _, head := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
			start := time.Now()
			c := s.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", head)
			var sending sync.WaitGroup
			sending.Go(func() { c.drop(strings.Repeat("3e8\r\n", 1)+strings.Repeat("x", 1000), 1) })
			resp, body := c.answer()
			// 20 bytes in the time, and a body_rate of 1 KiB/s for them.
			if took := time.Since(start); resp.StatusCode != 408 || took < 20*time.Second || took > 21*time.Second || !strings.Contains(body, "slow_body") || !resp.Close {
				t.Errorf("%s: %d %s after %v", head, resp.StatusCode, body, took)
			}
			c.Close()
			sending.Wait()
		}
	})
}

func TestABodyAtTheLeastRateComesIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup{pipes: newPipes()}.start(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			time.Sleep(time.Hour) // R takes long: no limit of the front's
			if r.Context().Err() != nil {
				t.Errorf("the client is there: %v", r.Context().Err())
			}
			fmt.Fprint(w, len(b))
		})
		c := s.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
		start := time.Now()
		c.drop(strings.Repeat("x", 200_000), 1100)
		if _, body := c.answer(); body != "200000" || time.Since(start) < time.Hour {
			t.Errorf("%q after %v", body, time.Since(start))
		}
	})
}

func TestAnAnswerThatIsNotReadIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		big := bytes.Repeat([]byte("x"), 1<<20)
		s := setup{pipes: newPipes()}.start(t, func(w http.ResponseWriter, r *http.Request) { w.Write(big) })
		start := time.Now()
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		d := <-s.done
		var f *fault.Fault
		// A piece of 64 KiB adds its own 64 seconds at 1 KiB/s.
		if took := time.Since(start); took != 84*time.Second || !errors.As(d.Err, &f) || f.Reason != "slow_reader" {
			t.Errorf("after %v: %v", took, d.Err)
		}
	})
}

func TestAnAnswerThatIsReadAtTheLeastRateIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		big := bytes.Repeat([]byte("x"), 1<<20)
		s := setup{pipes: newPipes()}.start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			w.Write(big)
		})
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		got, buffer := 0, make([]byte, 1100)
		for {
			time.Sleep(time.Second)
			n, err := io.ReadFull(c.Conn, buffer)
			if got += n; got > len(big) { // and the headers
				break
			}
			if err != nil {
				t.Fatalf("%v after %d bytes", err, got)
			}
		}
	})
}

// A stream writes little over hours; only time in which it is held up counts.
func TestAStreamMayBeIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup{pipes: newPipes()}.start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
			}
		})
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, body := c.answer(); body != "data: 0\n\ndata: 1\n\ndata: 2\n\n" {
			t.Errorf("%q", body)
		}
	})
}

// Hundreds who send nothing more hold up nobody, and are shown the door.
func TestManySlowClientsHoldUpNobody(t *testing.T) {
	t.Parallel()
	var in atomic.Int64
	s := setup{listen: "header_timeout: 2s\nbody_timeout: 2s"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/fast" {
			t.Error("a slow one came in")
		}
		in.Add(1)
	})
	var slow sync.WaitGroup
	for i := range 300 {
		c := s.dial()
		switch i % 3 {
		case 0:
			c.send("GET /slow HTTP/1.1\r\nHost: a\r\n")
		case 1:
			c.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc")
		case 2:
			c.send("POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc")
		}
		slow.Go(func() {
			if rest := c.rest(); i%3 != 0 && !strings.HasPrefix(rest, "HTTP/1.1 408 ") {
				t.Errorf("%d: %q", i, rest)
			}
		})
	}
	start := time.Now()
	for range 100 {
		if resp, _ := s.get("/fast"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	t.Logf("100 fast requests beside 300 slow ones: %v", time.Since(start))
	if in.Load() != 100 {
		t.Errorf("%d came in", in.Load())
	}
	slow.Wait()
}
