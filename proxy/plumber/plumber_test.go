//go:build unix

package plumber

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

func TestRootIsTheDocumentationWhereTheAPIHasNone(t *testing.T) {
	t.Parallel()
	home := func(c Config, prefix string) (int, string, string) {
		s := serve(t, settings{config: c, site: Site{Prefix: prefix}})
		a := send(t, s.addr, call{method: "GET", target: prefix + "/"})
		return a.status, a.get("Location"), string(a.body)
	}
	plain := api(t, "#* @get /x\nfunction() 1\n")
	if status, to, _ := home(plain, "/api"); status != 307 || to != "/api/__docs__/" {
		t.Errorf("status %d to %q", status, to)
	}
	filtered := api(t, `#* @filter f
function(req, res) {
  if (req$PATH_INFO == "/" && req$QUERY_STRING == "") return("a filter's own")
  plumber::forward()
}
#* @get /x
function() 1
`)
	if status, _, body := home(filtered, ""); status != 200 || body != `["a filter's own"]` {
		t.Errorf("a filter answers /: %d %s", status, body)
	}
}

func TestAPIsBelowAPrefixNameIt(t *testing.T) {
	t.Parallel()
	c := api(t, "#* @get /x\nfunction(req) c(req$PATH_INFO, req$SCRIPT_NAME)\n")
	s := serve(t, settings{config: c, site: Site{Prefix: "/api"}})
	if _, body := s.get(t, "/api/x"); body != `["/x","/api"]` {
		t.Errorf("the API sees %s", body)
	}
	f := func(referer, want string) {
		t.Helper()
		_, body := s.get(t, "/api/openapi.json", referer)
		var spec struct{ Servers []struct{ URL string } }
		if err := json.Unmarshal([]byte(body), &spec); err != nil || len(spec.Servers) != 1 || spec.Servers[0].URL != want {
			t.Errorf("servers %+v, want %q (%v)", spec.Servers, want, err)
		}
	}
	f("X-None: 1", "/api")
	f("Referer: http://front/api/__docs__/", "http://front/api/")
	if s.Docs() != "/__docs__/" {
		t.Errorf("documentation at %q", s.Docs())
	}
	if status, body := s.get(t, "/api/__docs__/"); status != 200 || !strings.Contains(body, "swagger-ui") {
		t.Errorf("documentation: %d %.200s", status, body)
	}
}

func TestStartScriptsAreRouters(t *testing.T) {
	t.Parallel()
	f := func(name, text, target, want string) {
		t.Helper()
		c := api(t, text)
		os.WriteFile(filepath.Join(filepath.Dir(c.File), "other.R"), []byte("#* @get /other\nfunction() 'other'\n"), 0o600)
		s := serve(t, settings{config: c})
		if _, body := s.get(t, target); body != want {
			t.Errorf("%s: %s, want %s", name, body, want)
		}
	}
	f("a variable", "api <- pr() |> pr_get('/x', function() 1)\ncat('made')", "/x", "[1]")
	f("in a function", "main <- function() {\n  p <- pr('other.R')\n  pr_run(p, docs = FALSE, debug = TRUE)\n}\nmain()\nstop('served')", "/openapi.json", `{"error":"404 - Resource Not Found"}`)
}

func TestCodeThatDoesNotLoadSaysWhere(t *testing.T) {
	t.Parallel()
	f := func(text string, want ...string) {
		t.Helper()
		_, err := try(t, settings{config: api(t, text)})
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v, want %q in it", text, err, w)
			}
		}
	}
	f("#* @get /x\nfunction() 1\nfunction( 2\n", "plumber.R:3:", "unexpected")
	f("#* @get /x\nnone()\n", "plumber.R:2:", `could not find function "none"`)
	f("x <- 1\n\nnone()\n", "plumber.R:3", `could not find function "none"`)
	f("x <- 1\n", "plumber.R", "its value is not a plumber router", "pr() |>")
	missing := api(t, "")
	os.Remove(missing.File)
	if _, err := try(t, settings{config: missing}); err == nil || !strings.Contains(err.Error(), "there is no file plumber.R") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestFilesAreServedWithoutAWorkerWhereNobodyWouldSeeIt(t *testing.T) {
	t.Parallel()
	f := func(text string, attempts int) {
		t.Helper()
		c := api(t, text)
		if err := os.CopyFS(filepath.Join(filepath.Dir(c.File), "site"), os.DirFS("testdata/files/site/sub")); err != nil {
			t.Fatal(err)
		}
		s := serve(t, settings{config: c})
		if status, body := s.get(t, "/public/index.html"); status != 200 || body != "sub" {
			t.Errorf("%d %s", status, body)
		}
		if x := s.exchange(); x.Attempts != attempts || x.Route != "/public/*" {
			t.Errorf("%q: %d workers were asked, route %q", text, x.Attempts, x.Route)
		}
	}
	assets := "#* @assets ./site\nlist()\n"
	f(assets, 0)
	f(assets+"#* @filter f\nfunction() plumber::forward()\n", 1)
	f(assets+"#* @plumber\nfunction(pr) pr_hook(pr, 'preroute', function() 1)\n", 1)
}

func TestWhatRPrintsIsLoggedWithTheRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, settings{config: api(t, "#* @get /x\nfunction() {\n  cat('printed\\n')\n  warning('careful')\n  Sys.getpid()\n}\n")})
	_, pid := s.get(t, "/x")
	x := s.exchange()
	if x.Output != "printed\n" || fmt.Sprintf("[%d]", x.Worker) != pid || x.Route != "/x" || x.Attempts != 1 || x.R <= 0 {
		t.Errorf("%+v, worker %s", x, pid)
	}
	want := fmt.Sprintf("request_id=the-id pid=%d", x.Worker)
	if log := s.log.String(); strings.Count(log, want) != 2 || !strings.Contains(log, `printed\n`) || !strings.Contains(log, "careful") {
		t.Errorf("log without %q twice:\n%s", want, log)
	}
}

func TestARequestWhoseWorkerDiesIsTriedAgainWhereThatIsSafe(t *testing.T) {
	t.Parallel()
	c := api(t, `die_once <- function(mark) {
  if (!file.exists(mark)) {
    file.create(mark)
    tools::pskill(Sys.getpid(), 9L)
  }
  "lives"
}
#* @get /x
#* @post /x
function(req) die_once(paste0("died-", req$REQUEST_METHOD))
`)
	s := serve(t, settings{config: c})
	if status, body := s.get(t, "/x"); status != 200 || body != `["lives"]` || s.exchange().Attempts != 2 {
		t.Errorf("GET: %d %s after %d attempts", status, body, s.exchange().Attempts)
	}
	a := send(t, s.addr, call{method: "POST", target: "/x"})
	if a.status != 502 || !strings.Contains(string(a.body), "worker_died") || s.exchange().Attempts != 1 {
		t.Errorf("POST: %d %s after %d attempts", a.status, a.body, s.exchange().Attempts)
	}
}

func TestDevelopersSeeWhereAnErrorCameFrom(t *testing.T) {
	t.Parallel()
	c := api(t, `helper <- function(x) {
  stop("not <b>that</b>")
}

#* @get /deep
function() {
  helper(1)
}

#* @get /late
function() promises::promise_resolve(1) |> promises::then(function(x) stop("late"))

#* @get /written
#* @serializer csv
function() stop
`)
	s := serve(t, settings{config: c, site: Site{Development: true}, fault: fault.Writer{Details: true}})
	status, page := s.get(t, "/deep", "Accept: text/html,*/*")
	for _, want := range []string{"not &lt;b&gt;that", "plumber.R:2", "plumber.R:7", "GET /deep", "helper(1)"} {
		if status != 500 || !strings.Contains(page, want) {
			t.Errorf("%d, no %q in %s", status, want, page)
		}
	}
	a := send(t, s.addr, call{method: "GET", target: "/deep", headers: []string{"Accept: application/json"}})
	if !strings.Contains(string(a.body), `"error":"500 - Internal server error"`) || !strings.Contains(string(a.body), "not <b>that") {
		t.Errorf("a program gets %s", a.body)
	}
	if a.get(conditionHeader) != "" || s.exchange().Err == nil || !strings.Contains(s.exchange().Err.Error(), "not <b>that</b>") {
		t.Errorf("headers %v, error %v", a.headers, s.exchange().Err)
	}
	if _, page := s.get(t, "/late", "Accept: text/html"); !strings.Contains(page, "late") || !strings.Contains(page, "<pre>") {
		t.Errorf("an error in a promise: %s", page)
	}
	if _, page := s.get(t, "/written", "Accept: text/html"); !strings.Contains(page, "<pre>") {
		t.Errorf("an error of a serializer: %s", page)
	}
}

func TestConnectionsMadeWhileLoadingForbidForks(t *testing.T) {
	t.Parallel()
	c := api(t, `con <- structure(list(), class = c("SomeConnection", "DBIConnection"))
#* @get /x
function() Sys.getenv("RPIPE_FORKED", "no")
`)
	var log lockedBuffer
	s := serve(t, settings{config: c, pool: rpool.Options{Log: log.logger()}})
	if status, body := s.get(t, "/x"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{"started afresh instead of forked", "con is a database connection", "after_fork"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log.String())
		}
	}
}

func TestAFuturePlanIsKeptThroughForks(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := serve(t, settings{config: api(t, `future::plan(future::multisession, workers = 2)
#* @get /x
function() {
  there <- future::value(future::future(Sys.getpid()))
  c(inherits(future::plan(), "multisession"), there != Sys.getpid())
}
`), pool: rpool.Options{Log: log.logger()}})
	if _, body := s.get(t, "/x"); body != "[true,true]" {
		t.Errorf("%s", body)
	}
	if strings.Contains(log.String(), "afresh") {
		t.Errorf("not forked: %s", log.String())
	}
}

func TestSessionsHoldOnEveryWorker(t *testing.T) {
	t.Parallel()
	c := api(t, `library(plumber)
#* @get /count
function(req) {
  n <- if (is.null(req$session$n)) 1 else req$session$n + 1
  req$session$n <- n
  c(n, Sys.getpid())
}
#* @plumber
function(pr) pr_cookie(pr, random_cookie_key(), name = "session")
`)
	s := serve(t, settings{config: c, pool: rpool.Options{Max: 2}})
	f := func(n int, cookie string) (pid int, sealed string) {
		t.Helper()
		a := send(t, s.addr, call{method: "GET", target: "/count", headers: []string{cookie}})
		var got [2]int
		if err := json.Unmarshal(a.body, &got); err != nil || got[0] != n {
			t.Fatalf("request %d: %s (%v)", n, a.body, err)
		}
		sealed, _, _ = strings.Cut("Cookie: "+a.get("Set-Cookie"), ";")
		return got[1], sealed
	}
	first, cookie := f(1, "X: 1")
	lease, err := s.pool.Acquire(t.Context(), s.o.Env, rpool.Interactive) // the only worker yet
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if second, _ := f(2, cookie); second == first {
		t.Errorf("both requests were answered by worker %d", first)
	}
}

func TestExitHooksRunWhenAWorkerEnds(t *testing.T) {
	t.Parallel()
	c := api(t, `#* @get /x
function() 1
#* @plumber
function(pr) plumber::pr_hook(pr, "exit", function() cat("bye", file = "bye.txt"))
`)
	s := serve(t, settings{config: c})
	s.get(t, "/x")
	s.stop()
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(c.File), "bye.txt")); string(b) != "bye" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSlowCodeIsStopped(t *testing.T) {
	t.Parallel()
	s := serve(t, settings{config: api(t, "#* @get /slow\nfunction() Sys.sleep(100)\n#* @get /pid\nfunction() Sys.getpid()\n")})
	_, before := s.get(t, "/pid")
	s.o.Timeout = 50 * time.Millisecond
	if status, body := s.get(t, "/slow"); status != 504 || !strings.Contains(body, "timeout") {
		t.Errorf("%d %s", status, body)
	}
	s.o.Timeout = 0
	if _, after := s.get(t, "/pid"); after != before {
		t.Errorf("worker %s has become %s", before, after)
	}
}

func TestTheRequestIsTheClients(t *testing.T) {
	t.Parallel()
	s := serve(t, settings{config: api(t, `#* @post /x
#* @parser text
function(req) c(req$REMOTE_ADDR, req$REMOTE_PORT, req$rook.url_scheme, req$SERVER_NAME, req$SERVER_PORT, req$HTTP_COOKIE, req$HTTP_CONTENT_LENGTH, req$body)
`)})
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.WriteString("from disk")
	r := httptest.NewRequest("POST", "https://api.example/x", nil)
	r.Header = http.Header{"Content-Type": {"text/plain"}, "Cookie": {"a=1", "b=2"}, "Connection": {"X-Hop"}, "X-Hop": {"1"}}
	x := &exchange.Exchange{
		Client: netip.MustParseAddr("::ffff:203.0.113.9"), Port: "4711", Scheme: "https",
		Body: &exchange.Body{File: file, Size: 9},
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	if want := `["203.0.113.9","4711","https","api.example","443","a=1; b=2","9","from disk"]`; w.Body.String() != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
}
