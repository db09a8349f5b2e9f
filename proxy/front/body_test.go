package front

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// sizes answers with where the body is, and whether it is right.
func sizes(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		b, err := io.ReadAll(r.Body)
		if err != nil || int64(len(b)) != x.Body.Size || r.ContentLength != x.Body.Size {
			t.Errorf("%d bytes of %d, %v", len(b), x.Body.Size, err)
		}
		where := "memory"
		if x.Body.File != nil {
			where = "file"
			onDisk, err := os.ReadFile(x.Body.File.Name())
			if err != nil || string(onDisk) != string(b) {
				t.Errorf("the file has %d bytes, %v", len(onDisk), err)
			}
		} else if string(x.Body.Data) != string(b) {
			t.Error("the data differ from what is read")
		}
		if strings.Trim(string(b), "x") != "" {
			t.Error("other bytes came in")
		}
		fmt.Fprintf(w, "%d in %s", len(b), where)
	}
}

// Cleaners of /tmp take directories that were empty for days.
func TestTheDirectoryOfBodiesIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := setup{policy: "memory_body: 1B"}.start(t, sizes(t))
	for range 2 {
		must(t, os.Remove(s.spool.dir))
		if resp, got := s.do("POST", "/", "xxx"); got != "3 in file" {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
		if info, err := os.Stat(s.spool.dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Error(info, err)
		}
	}
}

func TestBodiesAreTakenInWhole(t *testing.T) {
	t.Parallel()
	s := setup{policy: "max_body: 1MiB\nmemory_body: 100KiB"}.start(t, sizes(t))
	f := func(n int, want string) {
		t.Helper()
		if resp, got := s.do("POST", "/", strings.Repeat("x", n)); got != want && !strings.Contains(got, want) {
			t.Errorf("%d bytes: %d %s, want %s", n, resp.StatusCode, got, want)
		}
		r, _ := http.NewRequest("POST", s.url("/"), io.MultiReader(strings.NewReader(strings.Repeat("x", n))))
		resp, err := http.DefaultTransport.RoundTrip(r) // chunked
		if err != nil {
			t.Fatal(n, err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); string(got) != want && !strings.Contains(string(got), want) {
			t.Errorf("%d bytes in chunks: %d %s, want %s", n, resp.StatusCode, got, want)
		}
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	f(0, "0 in memory")
	f(1, "1 in memory")
	f(4096, "4096 in memory")
	f(4097, "4097 in memory")
	f(65536, "65536 in memory")
	f(102400, "102400 in memory")
	f(102401, "102401 in file")
	f(1<<20, "1048576 in file")
	f(1<<20+1, `"too_large"`)
	f(2<<20, `"too_large"`)
	if used := s.spool.memory.used.Load() + s.spool.disk.used.Load(); used != 0 {
		t.Errorf("%d bytes are still taken", used)
	}
	left, err := filepath.Glob(filepath.Join(s.spool.dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// Memory and disk are those of all requests together.
func TestBodiesShareMemoryAndDisk(t *testing.T) {
	t.Parallel()
	here, release := make(chan string), make(chan struct{})
	inner := sizes(t)
	s := setup{listen: "buffer_memory: 100000\nbuffer_disk: 100000"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		where := "memory"
		if exchange.Of(r.Context()).Body.File != nil {
			where = "file"
		}
		here <- where
		<-release
		inner(w, r)
	})
	body := strings.Repeat("x", 60_000)
	answers := make(chan string)
	send := func() { _, got := s.do("POST", "/", body); answers <- got }
	go send()
	first := <-here
	go send()
	second := <-here
	if first != "memory" || second != "file" {
		t.Errorf("the first in %s, the second in %s", first, second)
	}
	resp, got := s.do("POST", "/", body)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(got, "no_place") {
		t.Errorf("the third: %d %s", resp.StatusCode, got)
	}
	close(release)
	a, b := <-answers, <-answers
	if (a != "60000 in memory" || b != "60000 in file") && (b != "60000 in memory" || a != "60000 in file") {
		t.Errorf("%q and %q", a, b)
	}
	go send()
	if again := <-here; again != "memory" {
		t.Errorf("later: in %s", again)
	}
	<-answers
}

func TestABodyThatBreaksOffReachesNobody(t *testing.T) {
	t.Parallel()
	s := setup{}.start(t, func(http.ResponseWriter, *http.Request) { t.Error("it came in") })
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
	c.Close()
	if d := <-s.done; d.status != 499 {
		t.Errorf("%d: %v", d.status, d.Err)
	}
}

func TestABodyMayStream(t *testing.T) {
	t.Parallel()
	got := make(chan string)
	s := setup{policy: "buffer_body: false\nmax_body: 5B"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		if exchange.Of(r.Context()).Body != nil {
			t.Error("the body was taken in")
		}
		b := make([]byte, 2)
		io.ReadFull(r.Body, b)
		got <- string(b)
		rest, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", rest, err)
	})
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
	if first := <-got; first != "ab" {
		t.Error(first)
	}
	c.send("2\r\ncd\r\n0\r\n\r\n")
	if _, body := c.answer(); body != "cd <nil>" {
		t.Error(body)
	}
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n")
	<-got
	if _, body := c.answer(); !strings.Contains(body, "too large") {
		t.Error(body)
	}
}

// A 401 to a client that dribbles its body must not keep a goroutine at it.
func TestTheRestOfARefusedBodyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := setup{policy: "auth: {basic: [{name: a, password: b}]}"}.start(t, func(http.ResponseWriter, *http.Request) { t.Error("it came in") })
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
	if resp, _ := c.answer(); resp.StatusCode != 401 || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	c.rest()

	// What is all there is read over, and the connection kept.
	c = s.dial()
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		if resp, _ := c.answer(); resp.StatusCode != 401 || resp.Close {
			t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
		}
	}
}

// Answers that nobody reads yet are in memory up to a bound, then in files; the
// handler is free either way when memory is used up.
func TestAnswersShareMemory(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 8<<20) // more than the system's buffers take
	returned := make(chan struct{}, 10)
	s := setup{listen: "response_memory: 10MiB"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(big)))
		if _, err := io.WriteString(w, big); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		returned <- struct{}{}
	})
	var readers []*raw
	for range 4 {
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		readers = append(readers, c)
	}
	for range 3 { // of four: one is in memory, and waits for its reader
		<-returned
	}
	if used := s.spool.disk.used.Load(); used != 3*8<<20 {
		t.Errorf("%d bytes on disk", used)
	}
	if used := s.answers.used.Load(); used != 8<<20 {
		t.Errorf("%d bytes in memory", used)
	}
	for _, c := range readers {
		if resp, body := c.answer(); body != big || resp.StatusCode != 200 {
			t.Errorf("%d bytes came", len(body))
		}
	}
	for range readers {
		if d := <-s.done; d.written != 8<<20 || d.Err != nil {
			t.Errorf("%d written, %v", d.written, d.Err)
		}
	}
	if used := s.answers.used.Load() + s.spool.disk.used.Load(); used != 0 {
		t.Errorf("%d bytes are still taken", used)
	}
}
