//go:build unix

package httpuv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

func TestAWebsocketIsPassedOn(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	c := s.socket("/", nil)
	for _, text := range []string{"one", "zwei", strings.Repeat("x", 3_000_000)} {
		if got := say(t, c, text); got != text {
			t.Errorf("%d bytes came back as %d", len(text), len(got))
		}
	}
	b := make([]byte, 1_000_000)
	rand.Read(b)
	if err := c.Write(t.Context(), websocket.MessageBinary, b); err != nil {
		t.Fatal(err)
	}
	if kind, got, err := c.Read(t.Context()); err != nil || kind != websocket.MessageBinary || string(got) != string(b) {
		t.Errorf("binary came back as %v of %d bytes: %v", kind, len(got), err)
	}
	c.Write(t.Context(), websocket.MessageText, []byte("bye"))
	_, _, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != 4001 || !strings.Contains(err.Error(), "as you wish") {
		t.Errorf("closed with %v", err)
	}
	eventually(t, "the session is over", func() bool { return s.Status().Workers[0].Websockets == 0 })
}

func TestManyWebsocketsShareTheWorkers(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Workers: Workers{Min: 2, Sessions: 60}})
	eventually(t, "two workers are up", func() bool { return len(s.Status().Workers) == 2 })
	const n = 100
	var all sync.WaitGroup
	var mu sync.Mutex
	on := map[string]int{}
	held := make([]*websocket.Conn, n)
	for i := range n {
		held[i] = s.socket("/", nil)
	}
	for i := range n {
		all.Go(func() {
			for j := range 20 {
				text := fmt.Sprintf("%d of %d", j, i)
				if got := say(t, held[i], text); got != text {
					t.Errorf("%q came back as %q", text, got)
				}
			}
			pid := say(t, held[i], "pid")
			mu.Lock()
			on[pid]++
			mu.Unlock()
		})
	}
	all.Wait()
	if len(on) != 2 {
		t.Errorf("sessions by worker: %v", on)
	}
	for pid, k := range on {
		if k != n/2 {
			t.Errorf("%d of %d sessions are on worker %s", k, n, pid)
		}
	}
}

func TestAFullWorkerGetsNoSession(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Workers: Workers{Max: 2, Sessions: 1}})
	a := s.socket("/", nil)
	b := s.socket("/", nil) // leases the second worker
	if say(t, a, "pid") == say(t, b, "pid") {
		t.Error("two sessions are on a worker that may have one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if c, _, err := websocket.Dial(ctx, s.url, nil); err == nil {
		c.CloseNow()
		t.Error("a third session found room")
	}
	a.Close(websocket.StatusNormalClosure, "")
	c := s.socket("/", nil)
	if got := say(t, c, "hello"); got != "hello" {
		t.Errorf("%q", got)
	}
}

func TestADeadWorkersWebsocketIsTold(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	c := s.socket("/", nil)
	pid, err := strconv.Atoi(say(t, c, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	_, _, err = c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusServiceRestart {
		t.Errorf("closed with %v", err)
	}
	c = s.socket("/", nil)
	if again := say(t, c, "pid"); again == strconv.Itoa(pid) {
		t.Error("a dead worker answers")
	}
}

func TestWebsocketsEndWithTheServer(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	c := s.socket("/", nil)
	say(t, c, "hello")
	ctx, cancel := context.WithCancelCause(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	eventually(t, "nobody new comes in", func() bool { status, _ := s.get("/"); return status == 503 })
	if got := say(t, c, "still there?"); got != "still there?" {
		t.Errorf("%q", got)
	}
	cancel(fault.ErrDraining)
	_, _, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
	if err := <-drained; err != fault.ErrDraining {
		t.Errorf("drain: %v", err)
	}
}

// The front waits for websockets until its time to drain is over, before anybody
// drains the transport.
func TestWebsocketsAreToldWhenTheirRequestsEnd(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	ctx, end := context.WithCancelCause(t.Context())
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r.WithContext(ctx)) }))
	defer front.Close()
	c, _, err := websocket.Dial(t.Context(), front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	say(t, c, "hello")
	end(fault.ErrDraining)
	_, _, err = c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
}

func TestWebsocketsOfOldCodeAreClosedInTheEnd(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Websocket: Websocket{Drain: configs.Duration(300 * time.Millisecond)}})
	c := s.socket("/", nil)
	s.Replaced()
	if got := say(t, c, "still there?"); got != "still there?" {
		t.Errorf("%q", got)
	}
	_, _, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
}

func TestAnIdleWebsocketIsClosed(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Websocket: Websocket{IdleTimeout: configs.Duration(300 * time.Millisecond)}})
	c := s.socket("/", nil)
	start := time.Now()
	for time.Since(start) < 600*time.Millisecond {
		say(t, c, "busy")
	}
	_, _, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
}

func TestAnOldWebsocketIsClosed(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{Websocket: Websocket{MaxAge: configs.Duration(300 * time.Millisecond)}})
	c := s.socket("/", nil)
	for {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
			return
		}
		if _, _, err := c.Read(t.Context()); err != nil {
			if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
				t.Errorf("closed with %v", err)
			}
			return
		}
	}
}

func TestAClientThatGoesFreesItsPlace(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	c := s.socket("/", nil)
	say(t, c, "hello")
	c.CloseNow() // no close frame
	eventually(t, "the session is over", func() bool { return s.Status().Workers[0].Websockets == 0 })
}

func TestFrames(t *testing.T) {
	var stream []byte
	var ends []int // where a frame may follow
	add := func(op byte, size int, masked bool) {
		b := []byte{0x80 | op}
		m := byte(0)
		if masked {
			m = 0x80
		}
		switch {
		case size < 126:
			b = append(b, m|byte(size))
		case size < 1<<16:
			b = append(b, m|126, byte(size>>8), byte(size))
		default:
			b = append(b, m|127, 0, 0, 0, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
		}
		if masked {
			b = append(b, 1, 2, 3, 4)
		}
		stream = append(append(stream, b...), make([]byte, size)...)
		ends = append(ends, len(stream))
	}
	for _, size := range []int{0, 1, 125, 126, 300, 65535, 65536, 70000} {
		add(1, size, false)
		add(2, size, true)
	}
	for _, step := range []int{1, 2, 7, 1000, len(stream)} {
		var f frames
		for at, next := 0, 0; at < len(stream); {
			n := min(step, len(stream)-at)
			f.advance(stream[at : at+n])
			at += n
			for next < len(ends) && ends[next] < at {
				next++
			}
			if want := next < len(ends) && ends[next] == at; f.between() != want {
				t.Fatalf("in steps of %d, after %d bytes: between frames %v, want %v", step, at, f.between(), want)
			}
		}
	}
	var f frames
	f.advance([]byte{0x88, 2, 3, 0xe8})
	if f.between() {
		t.Error("a frame may follow a close frame")
	}
}
