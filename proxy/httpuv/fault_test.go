//go:build unix

package httpuv

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rpool"
)

// slow is app with a limit on the time of requests.
func slow(t *testing.T, c Config, change func(*Options)) *served {
	t.Helper()
	c.Kind, c.File = App, "app.R"
	return serve(t, c, map[string]string{"app.R": app}, change)
}

func TestARequestThatTakesTooLongIsInterrupted(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, func(o *Options) { o.Timeout = 500 * time.Millisecond })
	_, pid := s.get("/pid")
	for range 3 {
		if status, body := s.get("/slow"); status != 504 || !strings.Contains(body, "timeout") {
			t.Errorf("%d %s", status, body)
		}
		if status, again := s.get("/pid"); status != 200 || again != pid {
			t.Errorf("after it: %d, worker %s in place of %s", status, again, pid)
		}
	}
}

func TestAWorkerThatDoesNotLetGoIsReplaced(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, func(o *Options) { o.Timeout, o.Grace = 500*time.Millisecond, 300*time.Millisecond })
	_, pid := s.get("/pid")
	if status, body := s.get("/stubborn"); status != 504 {
		t.Errorf("%d %s", status, body)
	}
	if status, again := s.get("/pid"); status != 200 || again == pid {
		t.Errorf("after it: %d, worker %s; it was %s", status, again, pid)
	}
}

func TestAClientThatHangsUpFreesItsWorker(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, nil)
	_, pid := s.get("/pid")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(r)
		done <- err
	}()
	eventually(t, "R is at work", func() bool { return s.Status().Workers[0].Requests == 1 })
	cancel()
	<-done
	if status, again := s.get("/pid"); status != 200 || again != pid {
		t.Errorf("after it: %d, worker %s in place of %s", status, again, pid)
	}
}

func TestADeadWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, nil)
	// A request that kills its worker is tried on one more, and then answered.
	if status, body := s.get("/die"); status != 502 || !strings.Contains(body, "SIGKILL") {
		t.Errorf("%d %s", status, body)
	}
	// What may have had an effect is not repeated.
	resp, body := s.do("POST", "/die", "x", nil)
	if resp.StatusCode != 502 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// A worker that dies idle costs nobody anything.
	for range 3 {
		_, text := s.get("/pid")
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
		if status, body := s.get("/pid"); status != 200 || body == text {
			t.Errorf("%d %s", status, body)
		}
	}
}

func TestKilledWorkersCostNoGET(t *testing.T) {
	t.Parallel()
	// 10 ms each, so that the deaths come amid requests.
	s := serve(t, Config{Kind: App, Workers: Workers{Min: 3, Max: 3}, Code: `function(req) {
		Sys.sleep(0.01)
		list(status = 200L, headers = list(), body = paste("at", req$PATH_INFO))
	}`}, nil, nil)
	var clients sync.WaitGroup
	var answered atomic.Int64
	for i := range 4 {
		clients.Go(func() {
			for j := range 100 {
				path := "/" + strconv.Itoa(i) + "." + strconv.Itoa(j)
				if status, body := s.get(path); status != 200 || body != "at "+path {
					t.Errorf("%s: %d %q", path, status, body)
				}
				if answered.Add(1)%20 == 0 {
					if w := s.Status().Workers; len(w) > 0 {
						syscall.Kill(w[0].Pid, syscall.SIGKILL)
					}
				}
			}
		})
	}
	clients.Wait()
}

func TestAFullQueueIsSaidSo(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, func(o *Options) { o.QueueLength, o.QueueWait = 1, 300*time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var busy sync.WaitGroup
	defer busy.Wait()
	defer cancel()
	busy.Go(func() {
		r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/slow", nil)
		http.DefaultClient.Do(r)
	})
	eventually(t, "R is at work", func() bool { return s.Status().Workers[0].Requests == 1 })
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			resp, body := s.do("GET", "/pid", "", nil)
			answers <- strconv.Itoa(resp.StatusCode) + resp.Header.Get("Retry-After") + body
		}()
	}
	a, b := <-answers, <-answers
	if !strings.HasPrefix(a, "5031") || !strings.Contains(a, "queue_full") || !strings.Contains(b, "queue_wait") {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestCodeThatDoesNotComeUp(t *testing.T) {
	t.Parallel()
	f := func(c Config, files map[string]string, want ...string) {
		t.Helper()
		_, err := attempt(t, c, files, nil)
		var start *rpool.StartError
		if !errors.As(err, &start) {
			t.Fatalf("%+v: %v", c, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v; want %q", err, w)
			}
		}
	}
	broken := map[string]string{"app.R": `stop("no database")`, "syntax.R": `f <- function( {`, "plumber.R": "#* @get /x\nstop('no model')"}
	f(Config{File: "app.R"}, broken, "app.R", "no database")
	f(Config{File: "syntax.R"}, broken, "syntax.R", "unexpected")
	f(Config{File: "none.R"}, broken, "there is no file none.R")
	f(Config{Code: `42`}, broken, "numeric", "the last expression must be")
	f(Config{Code: `message("about to die"); tools::pskill(Sys.getpid(), 9)`}, broken, "SIGKILL", "about to die")
	f(Config{Code: `Sys.sleep(60)`, Start: configs.Duration(300 * time.Millisecond)}, broken, "nothing listens after 300ms", "start_timeout")
	f(Config{Kind: Plumber, File: "plumber.R"}, broken, "no model")
	f(Config{Kind: Shiny, File: "app.R"}, broken, "no database")
}

func TestALargeAnswerIsRefused(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{MaxResponse: 1 << 20}, nil)
	if status, body := s.get("/big"); status != 500 || !strings.Contains(body, "response_too_large") {
		t.Errorf("%d %.200q", status, body)
	}
	if status, _ := s.get("/pid"); status != 200 {
		t.Errorf("after it: %d", status)
	}
}

func TestASlowReaderDoesNotHoldItsWorker(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, nil)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/big", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // 30 MB that nobody has read
	if status, _ := s.get("/pid"); status != 200 {
		t.Errorf("%d", status)
	}
}

func TestDrainWaitsForRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{Kind: App, Code: `function(req) { Sys.sleep(0.5); list(status = 200L, headers = list(), body = "done") }`}, nil, nil)
	got := make(chan string, 1)
	go func() {
		_, body := s.get("/")
		got <- body
	}()
	eventually(t, "R is at work", func() bool { return s.Status().Workers[0].Requests == 1 })
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if body := <-got; body != "done" {
		t.Errorf("%q", body)
	}
	if status, _ := s.get("/"); status != 503 {
		t.Errorf("after it: %d", status)
	}
}
