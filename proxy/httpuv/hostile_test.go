//go:build unix

package httpuv

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rpool"
)

func TestHeadersThatRCannotTellApart(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	id := s.crew.workers[0].id // a browser knows it from its cookie
	_, pid := s.get("/pid")
	_, got := s.do("GET", "/env", "", http.Header{
		"Rpipe_client": {"6.6.6.6 1 https evil 1 t"}, "Rpipe_Client": {"6.6.6.6 1 https evil 1 t"}, "RPIPE_CONTROL": {"leave " + id},
		"X_forwarded-For": {"6.6.6.6"}, "X_Request_Id": {"6.6.6.6"}, "X_Kept": {"yes"},
	})
	for _, want := range []string{"REMOTE_ADDR=127.0.0.1\n", "x-forwarded-for=127.0.0.1\n", "x_kept=yes\n"} {
		if !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "6.6.6.6") {
		t.Error(got)
	}
	if _, again := s.get("/pid"); again != pid {
		t.Errorf("worker %s serves, and %s did: a client has sent it away", again, pid)
	}
}

func TestARequestThatHttpuvDoesNotTakeHoldsNoWorker(t *testing.T) {
	t.Parallel()
	s := slow(t, Config{Workers: Workers{Max: 1}}, func(o *Options) { o.Grace = time.Hour })
	_, pid := s.get("/pid")
	if resp, body := s.do("FOO", "/pid", "", nil); resp.StatusCode != 502 || !strings.Contains(body, "does not take") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if status, again := s.get("/pid"); status != 200 || again != pid {
		t.Errorf("after it: %d, worker %s in place of %s", status, again, pid)
	}
}

func TestAFullPoolIsNotAskedWithoutPause(t *testing.T) {
	t.Parallel()
	pool, err := rpool.New(rpool.Options{Max: 2, QueueLength: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	s := slow(t, Config{Workers: Workers{Max: 2, IdleTimeout: configs.Duration(time.Hour)}}, func(o *Options) { o.Pool = pool })
	// Others have the second worker, and the one place in the queue.
	lease, err := pool.Acquire(t.Context(), s.o.Env, rpool.Interactive)
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	defer others.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer lease.Release()
	others.Go(func() {
		if l, err := pool.Acquire(ctx, s.o.Env, rpool.Interactive); err == nil {
			l.Release()
		}
	})
	eventually(t, "the queue is full", func() bool { return pool.Stats().Total.WaitingInteractive >= 1 })
	for range 2 {
		others.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/slow", nil)
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		})
	}
	eventually(t, "the pool has refused a worker, and is left alone for a while", func() bool {
		s.crew.mu.Lock()
		defer s.crew.mu.Unlock()
		return time.Now().Before(s.crew.notBefore)
	})
}
