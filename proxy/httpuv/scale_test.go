//go:build unix

package httpuv

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

func pids(s *served) []int {
	var out []int
	for _, w := range s.Status().Workers {
		out = append(out, w.Pid)
	}
	return out
}

func TestWorkersComeWithTheLoadAndGo(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{Kind: App, Code: `function(req) { Sys.sleep(0.3); list(status = 200L, headers = list(), body = "") }`,
		Workers: Workers{Min: 1, Max: 3, IdleTimeout: configs.Duration(200 * time.Millisecond)}}, nil, nil)
	if n := len(pids(s)); n != 1 {
		t.Fatalf("%d workers at first", n)
	}
	done := make(chan int, 6)
	for range 6 {
		go func() {
			status, _ := s.get("/")
			done <- status
		}()
	}
	most := 0
	eventually(t, "three workers serve", func() bool { most = max(most, len(pids(s))); return most == 3 })
	for range 6 {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	eventually(t, "one worker is left", func() bool { return len(pids(s)) == 1 })
	eventually(t, "the others are back in the pool", func() bool { _, n := envStats(s); return n <= 1 })
	if status, _ := s.get("/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// envStats are the idle and the busy workers of s's environment.
func envStats(s *served) (idle, busy int) {
	want := s.o.Env.Fingerprint()
	for _, e := range s.o.Pool.Stats().Environments {
		if e.Fingerprint == want {
			return e.Idle, e.Busy
		}
	}
	return 0, 0
}

func TestAWorkerIsReplacedAfterMaxRequests(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Workers: Workers{Max: 1, MaxRequests: 3}})
	seen := map[string]int{}
	eventually(t, "three workers have answered", func() bool {
		status, pid := s.get("/pid")
		if status != 200 {
			t.Fatalf("status %d: %s", status, pid)
		}
		seen[pid]++
		return len(seen) == 3
	})
	few := 0
	for _, n := range seen {
		if n < 3 {
			few++
		}
	}
	if few > 1 { // the last has only begun
		t.Errorf("requests by worker: %v", seen)
	}
}

func TestAWebsocketKeepsItsOldWorker(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Workers: Workers{Max: 2, MaxLifetime: configs.Duration(300 * time.Millisecond)}})
	c := s.socket("/", nil)
	old := say(t, c, "pid")
	eventually(t, "another worker serves", func() bool {
		_, pid := s.get("/pid")
		return pid != old
	})
	if got := say(t, c, "pid"); got != old {
		t.Errorf("the websocket went from %s to %s", old, got)
	}
	before := pids(s)
	c.CloseNow()
	eventually(t, "the old worker ends", func() bool {
		now := pids(s)
		return !slices.ContainsFunc(now, func(p int) bool { return slices.Contains(before, p) && strconv.Itoa(p) == old })
	})
}

func TestAWorkerIsGivenBackInGoodOrder(t *testing.T) {
	t.Parallel()
	c := Config{Kind: App, Code: `function(req) list(status = 200L, headers = list(), body = paste(Sys.getpid()))`}
	first := serve(t, c, nil, nil)
	_, pid := first.get("/")
	if err := first.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The same process serves again, on the same socket.
	var again string
	for range 5 { // others of this environment may be idle too
		s := serve(t, c, nil, nil)
		if _, again = s.get("/"); again == pid {
			break
		}
	}
	if again != pid {
		t.Errorf("worker %s does not serve again", pid)
	}
}
