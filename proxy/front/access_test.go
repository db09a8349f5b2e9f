package front

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

// worked is a handler that fills its exchange as transports do.
func worked(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	x.API, x.Route, x.Worker, x.Attempts = "main", "/predict", 42, 2
	x.Queue, x.R = 1500*time.Microsecond, 20*time.Millisecond
	if r.URL.Path == "/broken" {
		x.Err = rpool.ErrQueueFull
		w.WriteHeader(503)
		return
	}
	io.WriteString(w, "hello")
}

// logOf is the log file of a front when the answers to the requests are out.
func logOf(t *testing.T, yaml string, ask func(s *site)) string {
	t.Helper()
	dir := t.TempDir()
	s := setup{log: "file: access.log\n" + yaml, deps: Deps{Dir: dir, Tokens: secrets}, listen: "trusted_proxies: loopback", policy: "auth: {bearer: true}"}.start(t, worked)
	ask(s)
	must(t, s.Shutdown(t.Context()))
	text, err := os.ReadFile(filepath.Join(dir, "access.log"))
	must(t, err)
	return string(text)
}

const bearer, agent = "Authorization", "User-Agent"

func TestAccessLogAsJSON(t *testing.T) {
	t.Parallel()
	text := logOf(t, "access: json", func(s *site) {
		s.get("/predict?a=1&TOKEN=abc&to%6ben=def", bearer, "Bearer good", "X-Request-Id", "id-1", "X-Forwarded-For", "192.0.2.1", agent, "test/1 <\"é\">\t")
		s.get("/broken", bearer, "Bearer good", agent, "test/2")
		s.get("/", bearer, "Bearer abcdef", "Cookie", "session=abcdef")
	})
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatal(text)
	}
	var e, broken, refused entry
	for i, to := range []*entry{&e, &broken, &refused} {
		must(t, json.Unmarshal([]byte(lines[i]), to))
	}
	if _, err := time.Parse(time.RFC3339Nano, e.Time); err != nil || e.Duration <= 0 {
		t.Error(e.Time, e.Duration, err)
	}
	e.Time, e.Duration = "", 0
	want := entry{
		Level: "INFO", Msg: "request", ID: "id-1", Client: "192.0.2.1", Method: "GET", Path: "/predict?a=1&TOKEN=***&to%6ben=***", Protocol: "HTTP/1.1", Status: 200, Bytes: 5,
		Queue: 0.0015, R: 0.02, API: "main", Route: "/predict", Worker: 42, Attempts: 2, Owner: "ann", UserAgent: "test/1 <\"é\">",
	}
	if e != want {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
	if broken.Status != 503 || broken.Error != "queue_full" {
		t.Errorf("%+v", broken)
	}
	if refused.Status != 401 || refused.Error != "bad_token" || strings.Contains(text, "abcdef") {
		t.Errorf("%+v\n%s", refused, text)
	}
}

func TestAccessLogAsApacheHasIt(t *testing.T) {
	t.Parallel()
	text := logOf(t, "access: combined\nredact: [q]", func(s *site) {
		s.get("/predict?q=1&token=2", bearer, "Bearer good", agent, `te"st`, "Referer", "http://a/?q=3", "X-Forwarded-For", "2001:db8::1")
	})
	want := regexp.MustCompile(`^2001:db8::1 - ann \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /predict\?q=\*\*\*&token=2 HTTP/1\.1" 200 5 "http://a/\?q=\*\*\*" "te\\"st" 0\.001500 0\.020000 \d+\.\d{6}\n$`)
	if !want.MatchString(text) {
		t.Error(text)
	}
}

func TestAccessLogWithoutQueries(t *testing.T) {
	t.Parallel()
	if text := logOf(t, "access: combined\nquery: false", func(s *site) { s.get("/predict?q=1") }); strings.Contains(text, "q=1") || !strings.Contains(text, "GET /predict HTTP") {
		t.Error(text)
	}
}

// Nobody writes a line of his own.
func TestAccessLogLinesAreOneRequestEach(t *testing.T) {
	t.Parallel()
	text := logOf(t, "access: combined", func(s *site) {
		s.get("/a%0a1.2.3.4%20-%20-", agent, "a\tb\x80")
	})
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, `"a\tb\x80"`) {
		t.Errorf("%q", text)
	}
}

func TestTheLogFileIsOpenedAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "access.log")
	s := setup{log: "file: access.log", deps: Deps{Dir: dir}}.start(t, worked)
	s.get("/first")
	<-s.done
	must(t, os.Rename(name, name+".1"))
	must(t, s.Reopen())
	s.get("/second")
	<-s.done
	for file, want := range map[string]string{name: "/second", name + ".1": "/first"} {
		text, err := os.ReadFile(file)
		if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
}

func TestSlowRequestsAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup{pipes: newPipes(), log: "access: \"off\"\nslow: 5s"}.start(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				exchange.Of(r.Context()).R = 6 * time.Second
				time.Sleep(6 * time.Second)
			}
		})
		c := s.dial()
		for _, path := range []string{"/quick", "/slow?token=abc"} {
			c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
			c.answer()
			<-s.done
		}
		log := s.log.String()
		if !contains(log, "level=WARN", "slow request", `path="/slow?token=***"`, "took=6s", "r=6s") || contains(log, "/quick") {
			t.Error(log)
		}
	})
}

func TestALogThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	f, err := New(decoded[Listen](t, "address: 127.0.0.1:0"), Deps{Access: decoded[Log](t, "file: no/where/access.log"), Dir: t.TempDir(), TempDir: t.TempDir()})
	if err == nil {
		f.Close()
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
