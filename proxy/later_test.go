//go:build unix

package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// laterAPI does what a file says when R gets there: so tests know when it runs, and say
// when it goes on.
const laterAPI = `
wait <- function(dir) {
  cat("x", file = file.path(dir, "began"), append = TRUE)
  while (!file.exists(file.path(dir, "go"))) Sys.sleep(0.02)
}
#* @get /slow
#* @post /slow
function(req, res, dir = "") {
  if (dir != "") wait(dir)
  res$setHeader("X-Told", "yes")
  res$status <- 201
  list(method = req$REQUEST_METHOD, body = req$postBody, who = req$HTTP_X_FORWARDED_USER)
}
#* @get /fail
function() stop("no such row")
#* @serializer octet
#* @get /large
function() as.raw(rep(1:250, 20000))
`

const laterYAML = `
version: 1
listen: {address: "127.0.0.1:0"}
pools: {default: {max: 2}}
async: {durability: "interval:200ms", running: 1, waiting: 3, max_body: 3MiB%s}
apis:
  - plumber: {file: plumber.R}
    path: /api
%s`

// serveFile makes this test program a proxy, until it is killed.
const serveFile = "RPIPE_TEST_PROXY"

func serveUntilKilled() {
	path := os.Getenv(serveFile)
	if path == "" {
		return
	}
	f, problems := Load(path, nil)
	if len(problems) > 0 {
		fmt.Fprintln(os.Stderr, problems)
		os.Exit(1)
	}
	f.Log.Access = "off"
	s, err := Start(context.Background(), f, Options{ackWait: time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	fmt.Println(s.Wait())
	os.Exit(0)
}

// client asks a proxy.
type client struct {
	t   *testing.T
	url string
}

type got struct {
	status int
	header http.Header
	body   string
}

func (c client) do(method, path string, body io.Reader, headers ...string) got {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got{resp.StatusCode, resp.Header, string(b)}
}

// later asks for an answer later, and is its address.
func (c client) later(method, path string, body io.Reader, headers ...string) string {
	c.t.Helper()
	g := c.do(method, path, body, append(headers, "Prefer", "respond-async")...)
	at := g.header.Get("Location")
	if g.status != 202 || at == "" || g.header.Get("Preference-Applied") != "respond-async" || g.header.Get("Retry-After") == "" {
		c.t.Fatalf("%s %s: %d %v %s", method, path, g.status, g.header, g.body)
	}
	return at
}

// until asks at an address until the answer is no 202.
func (c client) until(at string, headers ...string) got {
	c.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if g := c.do("GET", at, nil, append(headers, "Prefer", "wait=5")...); g.status != 202 {
			return g
		}
	}
	c.t.Fatal("no answer within two minutes")
	return got{}
}

func (c client) is(g got, status int, body string) {
	c.t.Helper()
	if g.status != status || !strings.Contains(g.body, body) {
		c.t.Fatalf("got %d %v\n%.500s\nwant %d with %q", g.status, g.header, g.body, status, body)
	}
}

func laterServer(t *testing.T, async, api string) (client, *Server, string) {
	dir := files(t, map[string]string{"plumber.R": laterAPI, "proxy.yaml": fmt.Sprintf(laterYAML, async, api)})
	s := started(t, load(t, dir), Options{ackWait: time.Second})
	return client{t, s.URL()}, s, dir
}

// began waits until a request is in R, for the nth time.
func began(t *testing.T, dir string, n int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // until R is there
		if b, _ := os.ReadFile(filepath.Join(dir, "began")); len(b) >= n {
			return
		}
	}
	t.Fatal("R has not begun within two minutes")
}

func goOn(t *testing.T, dir string) { write(t, filepath.Join(dir, "go"), "") }

func TestLater(t *testing.T) {
	c, _, _ := laterServer(t, "", "")
	dir := t.TempDir()
	at := c.later("POST", "/api/slow?dir="+dir, strings.NewReader("the body"))
	began(t, dir, 1)
	running := c.do("GET", at, nil)
	c.is(running, 202, `"status":"RUNNING"`)
	if running.header.Get("Location") != at || running.header.Get("Retry-After") == "" {
		t.Errorf("%v", running.header)
	}
	second := c.later("GET", "/api/slow", nil)
	var p struct {
		Status   string
		Position *int
		Elapsed  float64 `json:"elapsed_seconds"`
	}
	g := c.do("GET", second, nil, "Prefer", "wait=1")
	if err := json.Unmarshal([]byte(g.body), &p); err != nil || p.Status != "PENDING" || p.Position == nil || p.Elapsed < 0.9 {
		t.Errorf("of one that waits: %s (%v)", g.body, err)
	}
	goOn(t, dir)
	g = c.until(at)
	c.is(g, 201, `"method":["POST"],"body":["the body"]`)
	if g.header.Get("X-Told") != "yes" || g.header.Get("Content-Type") != "application/json" || g.header.Get("Rpipe-Task-State") != "COMPLETE" {
		t.Errorf("%v", g.header)
	}
	if head := c.do("HEAD", at, nil); head.status != 201 || head.body != "" || head.header.Get("X-Told") != "yes" {
		t.Errorf("HEAD: %+v", head)
	}
	c.is(c.until(second), 201, `"method":["GET"]`)
	c.is(c.until(c.later("GET", "/api/fail", nil)), 500, "Internal server error")
	c.is(c.until(c.later("GET", "/api/nothing", nil)), 404, "Resource Not Found")
	large := c.until(c.later("GET", "/api/large", nil))
	if large.status != 200 || len(large.body) != 5000000 || large.body[249] != 250 {
		t.Errorf("a large answer: %d, %d bytes", large.status, len(large.body))
	}
	body := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	c.is(c.until(c.later("POST", "/api/slow", strings.NewReader(body))), 201, body)
	// An answer that comes at once may be had at once.
	c.is(c.do("GET", "/api/slow", nil, "Prefer", "respond-async, wait=60"), 201, "GET")
	// Who does not ask for it is answered as ever.
	c.is(c.do("GET", "/api/slow", nil), 201, "GET")

	// Nothing else is at these addresses.
	for _, wrong := range []string{at[:len(at)-1] + "x", at + "00", "/__rpipe__/async/", "/__rpipe__/async/01jd3x7v9qk2m4n6p8r0s2t4v6-00", strings.Replace(at, "-", "", 1)} {
		c.is(c.do("GET", wrong, nil), 404, "not_found")
	}
	c.is(c.do("POST", at, nil), 405, "method_not_allowed")
	c.is(c.do("POST", "/api/slow", bytes.NewReader(make([]byte, 4<<20)), "Prefer", "respond-async"), 413, "too_large")

	// It can be given up when it is no longer wanted.
	if g := c.do("DELETE", at, nil); g.status != 204 {
		t.Errorf("DELETE: %+v", g)
	}
	c.is(c.do("GET", at, nil), 404, "not_found")
}

func TestLaterCancel(t *testing.T) {
	c, _, _ := laterServer(t, "", "")
	dir := t.TempDir()
	at := c.later("GET", "/api/slow?dir="+dir, nil)
	began(t, dir, 1)
	var waiting []string
	for range 3 {
		waiting = append(waiting, c.later("GET", "/api/slow", nil))
	}
	full := c.do("GET", "/api/slow", nil, "Prefer", "respond-async")
	c.is(full, 503, "queue_full")
	if full.header.Get("Retry-After") == "" {
		t.Errorf("%v", full.header)
	}
	if g := c.do("DELETE", waiting[0], nil); g.status != 204 {
		t.Fatalf("DELETE of one that waits: %+v", g)
	}
	c.is(c.do("GET", waiting[0], nil), 410, "cancelled")
	if g := c.do("DELETE", at, nil); g.status != 204 {
		t.Fatalf("DELETE of one that runs: %+v", g)
	}
	c.is(c.do("GET", at, nil), 410, "cancelled")
	c.is(c.until(waiting[1]), 201, "GET") // the place of the one that ran is free
	c.is(c.until(waiting[2]), 201, "GET")
}

// Who may not ask the API does not get its answers either, nor those of another owner.
func TestLaterOwners(t *testing.T) {
	c, _, _ := laterServer(t, ", routes: [/api/sl*]", `    auth: {basic: [{name: anna, password: a}, {name: ben, password: b}]}
    cors: {origins: ["https://example.com"]}
`)
	as := func(user, password string) []string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth(user, password)
		return []string{"Authorization", r.Header.Get("Authorization")}
	}
	c.is(c.do("GET", "/api/slow", nil, "Prefer", "respond-async"), 401, "no_credentials")
	at := c.later("GET", "/api/slow", nil, as("anna", "a")...)
	c.is(c.until(at, as("anna", "a")...), 201, `"who":["anna"]`)
	c.is(c.do("GET", at, nil), 401, "no_credentials")
	c.is(c.do("GET", at, nil, as("ben", "b")...), 404, "not_found")
	c.is(c.do("DELETE", at, nil, as("ben", "b")...), 404, "not_found")
	page := c.do("GET", at, nil, append(as("anna", "a"), "Origin", "https://example.com")...)
	if page.header.Get("Access-Control-Allow-Origin") != "https://example.com" {
		t.Errorf("a page may not read the answer: %v", page.header)
	}
	// Elsewhere the preference means nothing.
	c.is(c.do("GET", "/api/fail", nil, append(as("anna", "a"), "Prefer", "respond-async")...), 500, "Internal server error")
}

// What was promised outlives the proxy: kill -9 while requests run and wait.
func TestLaterSurvivesKill(t *testing.T) {
	dir := files(t, map[string]string{"plumber.R": laterAPI, "proxy.yaml": fmt.Sprintf(strings.Replace(laterYAML, "running: 1", "running: 2", 1), "", "")})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveFile+"="+filepath.Join(dir, "proxy.yaml"))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the proxy did not start: %v", err)
	}
	c := client{t, strings.TrimSpace(url)}
	done := c.later("POST", "/api/slow", strings.NewReader("before"))
	c.is(c.until(done), 201, "before")
	getDir, postDir := t.TempDir(), t.TempDir()
	get := c.later("GET", "/api/slow?dir="+getDir, nil)
	began(t, getDir, 1)
	post := c.later("POST", "/api/slow?dir="+postDir, strings.NewReader("once"))
	began(t, postDir, 1)
	waits := c.later("POST", "/api/slow", strings.NewReader("waited"))
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()

	s := started(t, load(t, dir), Options{ackWait: time.Second})
	c.url = s.URL()
	c.is(c.do("GET", done, nil), 201, "before")
	c.is(c.until(waits), 201, "waited")
	c.is(c.until(post), 502, "interrupted")
	began(t, getDir, 2) // it may be repeated, and is
	goOn(t, getDir)
	c.is(c.until(get), 201, "GET")
	if b, _ := os.ReadFile(filepath.Join(postDir, "began")); len(b) != 1 {
		t.Errorf("the POST was run %d times", len(b))
	}
}

// A drain waits for what runs, and leaves the rest to the next proxy.
func TestLaterDrain(t *testing.T) {
	c, s, dir := laterServer(t, "", "")
	marks := t.TempDir()
	at := c.later("POST", "/api/slow?dir="+marks, strings.NewReader("x"))
	began(t, marks, 1)
	waits := c.later("POST", "/api/slow", strings.NewReader("waited"))
	s.DrainLater()
	goOn(t, marks)
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	next := started(t, load(t, dir), Options{ackWait: time.Second})
	c.url = next.URL()
	c.is(c.until(at), 201, "POST")
	c.is(c.until(waits), 201, "waited")
}

// What a stop cuts off is run again by the next proxy where it may be, and else says so.
func TestLaterStopped(t *testing.T) {
	c, s, dir := laterServer(t, "", "")
	marks := t.TempDir()
	post := c.later("POST", "/api/slow?dir="+marks, strings.NewReader("x"))
	began(t, marks, 1)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	s.Drain(now)
	s.Close()
	next := started(t, load(t, dir), Options{ackWait: time.Second})
	c.url = next.URL()
	c.is(c.until(post), 502, "interrupted")
	get := c.later("GET", "/api/slow?dir="+marks, nil)
	began(t, marks, 2)
	next.Drain(now)
	next.Close()
	goOn(t, marks)
	c.url = started(t, load(t, dir), Options{ackWait: time.Second}).URL()
	c.is(c.until(get), 201, "GET")
	c.is(c.do("GET", post, nil), 502, "interrupted")
}
