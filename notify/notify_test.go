package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// hook is a real server that takes webhooks, and answers as it is told.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	status []int // of the next answers; 200 after them
	after  string
	// location is where redirects lead.
	location string
	got      chan *http.Request
	bodies   chan []byte
}

func newHook(t *testing.T, status ...int) *hook {
	h := &hook{status: status, got: make(chan *http.Request, 100), bodies: make(chan []byte, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		status := http.StatusOK
		if len(h.status) > 0 {
			status, h.status = h.status[0], h.status[1:]
		}
		h.mu.Unlock()
		if h.after != "" {
			w.Header().Set("Retry-After", h.after)
		}
		if status >= 300 && status < 400 {
			w.Header().Set("Location", h.location)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "no\n\nthanks")
		h.got <- r
		h.bodies <- body
	}))
	t.Cleanup(h.Close)
	return h
}

type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// notifier has short pauses, and logs what it says.
func notifier(t *testing.T, dir string, targets map[string]Target) (*Notifier, *buffer) {
	t.Helper()
	out := new(buffer)
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	n, err := start(targets, Options{Dir: dir, Version: "test", Log: log}, func(int) time.Duration { return time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n, out
}

func target(url string, change func(*Target)) Target {
	var t Target
	configs.SetDefaults(&t)
	t.URL, t.AllowPrivate = configs.Secret(url), true
	if change != nil {
		change(&t)
	}
	return t
}

// eventually polls for what happens in its own time.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(end) {
			t.Fatal("it has not come to be within a minute")
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

func (n *Notifier) of(name string) Stats { return n.targets[name].figures() }

var failed = Message{
	Kind: Failure, Schedule: "nightly", Run: "01jd3x7v9qk2m4n6p8r0s2t4v6", Scheduled: time.Date(2026, 1, 2, 2, 30, 0, 0, time.UTC),
	State: "ERROR", Attempt: 3, Error: "object 'x' not found <!channel> & more", Link: "https://r.example/ui/runs/01jd3x7v9qk2m4n6p8r0s2t4v6",
}

func TestAMessageArrives(t *testing.T) {
	h := newHook(t)
	dir := t.TempDir()
	n, _ := notifier(t, dir, map[string]Target{
		"ops": target(h.URL+"/hook?k=v", func(t *Target) {
			t.Secret, t.Headers = "key", map[string]configs.Secret{"Authorization": "Bearer xyz"}
		}),
		"late": target(h.URL, func(t *Target) { t.Only = []string{Late} }),
	})
	err := n.Send([]string{"ops", "late", "gone"}, failed)
	var unknown *UnknownError
	if !errors.As(err, &unknown) || unknown.Name != "gone" {
		t.Errorf("%v", err)
	}
	r, body := <-h.got, <-h.bodies
	if r.Method != "POST" || r.URL.String() != "/hook?k=v" || r.Header.Get("Authorization") != "Bearer xyz" || r.Header.Get("X-Rpipe-Event") != Failure ||
		r.Header.Get("X-Rpipe-Delivery") == "" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %v", r.URL, r.Header)
	}
	var at int64
	fmt.Sscanf(r.Header.Get("X-Rpipe-Signature"), "t=%d,", &at)
	if want := Sign("key", time.Unix(at, 0), body); want != r.Header.Get("X-Rpipe-Signature") || time.Since(time.Unix(at, 0)) > time.Minute || Sign("no", time.Unix(at, 0), body) == want {
		t.Errorf("%s, want %s", r.Header.Get("X-Rpipe-Signature"), want)
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil || m.Schedule != "nightly" || m.Run != failed.Run || !m.Scheduled.Equal(failed.Scheduled) || m.Error != failed.Error || m.Link != failed.Link {
		t.Errorf("%s, %v", body, err)
	}
	for _, want := range []string{"nightly has failed", "2026-01-02T02:30:00Z", "ERROR", "attempt: 3", "object 'x'", failed.Link} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("%q is not in %s", want, m.Text)
		}
	}
	eventually(t, func() bool { return n.of("ops").Delivered == 1 && n.of("ops").Waiting == 0 })
	if n.of("late").Delivered+uint64(n.of("late").Waiting) != 0 {
		t.Error("a target got what it does not want")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestSlack(t *testing.T) {
	h := newHook(t)
	n, _ := notifier(t, "", map[string]Target{"chat": target(h.URL, func(t *Target) { t.Format = "slack" })})
	if err := n.Send([]string{"chat"}, failed); err != nil {
		t.Fatal(err)
	}
	<-h.got
	body := string(<-h.bodies)
	var m struct {
		Text        string
		Attachments []struct{ Color, Text string }
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.Text != "Schedule nightly has failed" || len(m.Attachments) != 1 || m.Attachments[0].Color != "danger" {
		t.Errorf("%s, %v", body, err)
	}
	if strings.Contains(m.Attachments[0].Text, "<!channel>") || !strings.Contains(m.Attachments[0].Text, "&lt;!channel&gt; &amp; more") {
		t.Errorf("%s", m.Attachments[0].Text)
	}
}

func TestRetries(t *testing.T) {
	f := func(retries int, want Stats, status ...int) {
		t.Helper()
		h := newHook(t, status...)
		n, log := notifier(t, "", map[string]Target{"ops": target(h.URL, func(t *Target) { t.Retries = retries })})
		if err := n.Send([]string{"ops"}, failed); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { s := n.of("ops"); return s.Delivered+s.Failed == 1 && s.Waiting == 0 })
		got := n.of("ops")
		if got.Delivered != want.Delivered || got.Retried != want.Retried || got.Failed != want.Failed || !strings.Contains(got.LastError, want.LastError) {
			t.Errorf("%v: %+v, want %+v", status, got, want)
		}
		if text := log.String(); want.Failed > 0 && (!strings.Contains(text, "given up") || !strings.Contains(text, "nightly")) || strings.Contains(text, h.URL) {
			t.Errorf("the log: %s", text)
		}
		first := (<-h.got).Header.Get("X-Rpipe-Delivery")
		for range int(want.Retried) {
			if id := (<-h.got).Header.Get("X-Rpipe-Delivery"); id != first {
				t.Errorf("an attempt has the id %s, the first %s", id, first)
			}
		}
	}
	f(5, Stats{Delivered: 1, Retried: 3}, 500, 429, 408)
	f(2, Stats{Failed: 1, Retried: 2, LastError: "answers 503: no thanks"}, 503, 503, 503)
	f(5, Stats{Failed: 1, LastError: "answers 404"}, 404)
	f(5, Stats{Failed: 1, LastError: "answers 307, a redirect, which is not followed"}, 307)
}

// TestNobodyThere: Send does not wait, and Close does not either.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()                           // takes connections and never answers
	dir := filepath.Join(t.TempDir(), "a[b]") // no pattern
	n, _ := notifier(t, dir, map[string]Target{"ops": target("http://"+l.Addr().String(), nil)})
	for range 3 {
		if err := n.Send([]string{"ops"}, failed); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return n.of("ops").Waiting == 3 })
	n.Close()
	// The next start has them all, in order.
	h := newHook(t)
	n, _ = notifier(t, dir, map[string]Target{"ops": target(h.URL, nil)})
	var ids []string
	for range 3 {
		ids = append(ids, (<-h.got).Header.Get("X-Rpipe-Delivery"))
	}
	if ids[0] >= ids[1] || ids[1] >= ids[2] {
		t.Errorf("%v", ids)
	}
	eventually(t, func() bool { left, err := os.ReadDir(dir); return err == nil && len(left) == 0 })
	if got := n.of("ops"); got.Delivered != 3 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsLeftOfATargetThatIsGone(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"01x.json": `{"id":"01x","target":"gone"}`, "01y.json": "{", "01z.json": `{"id":"../z","target":"ops"}`, "02x.json.new": "{"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := notifier(t, dir, map[string]Target{"ops": target("http://127.0.0.1:9", nil)})
	if n.of("ops").Waiting != 0 {
		t.Error("it was taken up")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestTooManyWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n, _ := notifier(t, "", map[string]Target{"ops": target("http://"+l.Addr().String(), nil)})
	for range mostWaiting + 5 {
		n.Send([]string{"ops"}, failed)
	}
	if got := n.of("ops"); got.Waiting != mostWaiting || got.Failed != 5 {
		t.Errorf("%+v", got)
	}
}

func TestTry(t *testing.T) {
	h := newHook(t, 200, 500)
	n, _ := notifier(t, t.TempDir(), map[string]Target{"ops": target(h.URL, nil)})
	if err := n.Try(t.Context(), "ops", Message{Kind: Test}); err != nil {
		t.Error(err)
	}
	if err := n.Try(t.Context(), "ops", Message{Kind: Test}); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("%v", err)
	}
	var unknown *UnknownError
	if err := n.Try(t.Context(), "no", Message{}); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Try(ctx, "ops", Message{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
