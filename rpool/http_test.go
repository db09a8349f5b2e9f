//go:build unix

package rpool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// answering is a worker whose handler is the R function given.
func answering(t testing.TB, handler string, o *Options) *worker {
	t.Helper()
	return started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode, Handler: handler}, o))
}

func get(path string) *Request {
	return &Request{Kind: HTTP, HTTP: &HTTPRequest{Vars: []Field{{"REQUEST_METHOD", "GET"}, {"PATH_INFO", path}, {"QUERY_STRING", ""}}}}
}

func posted(body string) *Request {
	r := get("/")
	r.HTTP.Vars[0].Value = "POST"
	r.HTTP.Body = []byte(body)
	return r
}

func answer(t testing.TB, w *worker, r *Request) *HTTPResponse {
	t.Helper()
	reply, err := w.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return reply.HTTP
}

// echo answers with what it was asked, as a handler that nobody's package wrote.
const echo = `structure(function(req) list(
  status = 201L,
  headers = list("X-Path" = req$PATH_INFO, "Set-Cookie" = "a=1", "Set-Cookie" = "b=2", "X-Length" = 3),
  body = paste(req$REQUEST_METHOD, req$HEADERS[["x-one"]], rawToChar(req$rook.input$read()))
), about = "an echo")`

func TestAHandlerAnswersHTTP(t *testing.T) {
	t.Parallel()
	tpl := launched(t, &Environment{Start: StartFork, Handler: echo}, nil)
	if tpl.About() != "an echo" {
		t.Errorf("about %q", tpl.About())
	}
	r := posted("body")
	r.HTTP.Vars[1].Value = "/a"
	r.HTTP.Headers = []Field{{"x-one", "é"}}
	a := answer(t, started(t, tpl), r)
	want := []Field{{"X-Path", "/a"}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}, {"X-Length", "3"}}
	if a.Status != 201 || string(a.Body) != "POST é body" || !slices.Equal(a.Headers, want) {
		t.Fatalf("%+v, body %q", a, a.Body)
	}
}

func TestARequestHasHttpuvsVariables(t *testing.T) {
	t.Parallel()
	w := answering(t, `function(req) {
		stopifnot(
			is.environment(req), identical(parent.env(req), emptyenv()),
			identical(req$rook.version, "1.1-0"), identical(req$rook.url_scheme, "http"),
			identical(req$httpuv.version, utils::packageVersion("httpuv")),
			identical(req$HEADERS, c(accept = "*/*", "x-a" = "1,2")),
			is.null(req$.bodyData), is.null(req$CONTENT_TYPE)
		)
		req$rook.errors$cat("to", "stderr", sep = "-")
		req$rook.errors$flush()
		list(status = 200L, headers = list(), body = paste(sort(ls(req, all.names = TRUE), method = "radix"), collapse = " "))
	}`, nil)
	r := get("/")
	r.HTTP.Headers = []Field{{"accept", "*/*"}, {"x-a", "1,2"}}
	reply, err := w.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(reply.HTTP.Body), "HEADERS PATH_INFO QUERY_STRING REQUEST_METHOD httpuv.version rook.errors rook.input rook.url_scheme rook.version"; got != want {
		t.Errorf("variables %s", got)
	}
	if !strings.Contains(reply.Output, "to-stderr") {
		t.Errorf("output %q", reply.Output)
	}
	r.HTTP.Vars = append(r.HTTP.Vars, Field{"rook.url_scheme", "https"})
	if _, err := w.Do(t.Context(), r); err == nil || !strings.Contains(err.Error(), `rook.url_scheme, "http"`) {
		t.Errorf("a variable that the caller sets does not win: %v", err)
	}
}

// sameInput compares rook.input with httpuv's own classes: the same random calls
// on both must give the same values, visible or not.
const sameInput = `function(req) {
	ours <- req$rook.input
	body <- readBin(Sys.getenv("BODY"), raw(), 1e6)
	con <- NULL
	theirs <- if (length(body)) {
		con <- file(tempfile(), "w+b")
		on.exit(close(con))
		writeBin(body, con)
		httpuv:::InputStream$new(con, length(body))
	} else {
		httpuv:::nullInputStream
	}
	calls <- c(
		expression(x$read(), x$read(0), x$rewind(), x$read_lines()),
		lapply(c(1, 2.5, 7, 1e6), function(n) bquote(x$read(.(n)))),
		lapply(c(0L, 1L, 3L), function(n) bquote(x$read_lines(.(n))))
	)
	if (!is.null(con)) calls <- c(calls, quote(seek(data)))
	set.seed(as.integer(req$PATH_INFO))
	for (i in 1:60) {
		call <- sample(calls, 1L)[[1L]]
		a <- eval(call, list(x = ours, data = if (identical(call, quote(seek(data)))) req$.bodyData))
		b <- eval(call, list(x = theirs, data = con))
		visible <- c(eval(bquote(withVisible(.(call))$visible), list(x = ours, data = req$.bodyData)),
			eval(bquote(withVisible(.(call))$visible), list(x = theirs, data = con)))
		if (!identical(a, b) || visible[1] != visible[2]) {
			stop(deparse(call), " number ", i, ": ", deparse(a), " instead of ", deparse(b))
		}
	}
	if (!is.null(con)) stopifnot(identical(class(req$.bodyData), class(con)))
	list(status = 200L, headers = list(), body = NULL)
}`

func TestABodyReadsAsHttpuvsDoes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "body")
	tpl := launched(t, &Environment{Start: StartFork, Handler: sameInput, Env: []string{"BODY=" + path}}, nil)
	w := started(t, tpl)
	for _, body := range []string{"", "x", "\n", "one\ntwo\r\nthree\x00x\n\nlast", strings.Repeat("0123456789\n", 2000), "caf\xe9\n\xff\xfe"} {
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, inFile := range []bool{false, true} {
			for seed := range 6 {
				r := posted(body)
				r.HTTP.Vars[1].Value = string(rune('1' + seed))
				if inFile && body != "" {
					r.HTTP.Body, r.HTTP.File = nil, path
				}
				if _, err := w.Do(t.Context(), r); err != nil {
					t.Fatalf("body %.20q, in a file: %v: %v", body, inFile, err)
				}
			}
		}
	}
}

// Bodies that are spooled to files are in a directory that is ours alone.
func TestABodyInAFileReachesAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may run R as another user")
	}
	t.Parallel()
	w := started(t, launched(t, &Environment{Start: StartFork, User: "nobody", Dir: "/", Handler: echo}, nil))
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, []byte("spooled"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := posted("")
	r.HTTP.Body, r.HTTP.File = nil, path
	r.HTTP.Headers = []Field{{"x-one", "1"}}
	if a := answer(t, w, r); string(a.Body) != "POST 1 spooled" {
		t.Errorf("R read %q", a.Body)
	}
	if r.HTTP.File != path || r.HTTP.Body != nil {
		t.Error("the request was changed: it may be sent again")
	}
}

func TestABodyInAFileIsNotReadUntilItIsAskedFor(t *testing.T) {
	t.Parallel()
	w := answering(t, `function(req) {
		before <- sum(gc(reset = TRUE)[, 6])
		first <- req$rook.input$read(4)
		peak <- sum(gc()[, 6])
		list(status = 200L, headers = list(), body = if (peak - before < 20) first else charToRaw(paste(peak - before, "MB")))
	}`, nil)
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, []byte("head"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<33); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	r := get("/")
	r.HTTP.File = path
	if a := answer(t, w, r); string(a.Body) != "head" {
		t.Errorf("%q", a.Body)
	}
}

func TestTextThatIsNotUTF8PassesUnaltered(t *testing.T) {
	t.Parallel()
	w := answering(t, `function(req) list(
		status = 200, body = charToRaw(req$HTTP_X_LATIN),
		headers = structure(list(req$HEADERS[["x-latin"]], req[["HTTP_\xff"]], "z"), names = c("X-Back", "X-\xfe", names(req$HEADERS)[2]))
	)`, nil)
	r := get("/\xe9")
	r.HTTP.Vars = append(r.HTTP.Vars, Field{"HTTP_X_LATIN", "caf\xe9"}, Field{"HTTP_\xff", "\x80"})
	r.HTTP.Headers = []Field{{"x-latin", "caf\xe9"}, {"x-\xfd", "é"}}
	a := answer(t, w, r)
	want := []Field{{"X-Back", "caf\xe9"}, {"X-\xfe", "\x80"}, {"x-\xfd", "z"}}
	if string(a.Body) != "caf\xe9" || !slices.Equal(a.Headers, want) {
		t.Errorf("body %q, headers %q", a.Body, a.Headers)
	}
}

func TestAFileAsBodyOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	env := realEnvironment()
	env.Handler = `function(req) {
		path <- tempfile()
		writeLines("from a file", path)
		list(status = 200L, headers = list(), body = list(file = path, owned = TRUE))
	}`
	p := realPool(t, Options{Max: 1, MaxRequests: 1})
	a := mustDo(t, p, env, get("/")).HTTP
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(a.File); err == nil {
		t.Fatal("the worker's temporary directory is still there")
	}
	f, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "from a file\n" || !a.Owned {
		t.Errorf("%q, %v, %+v", b, err, a)
	}
}

func TestAnAnswerThatIsTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	w := answering(t, `function(req) list(status = 200L, headers = list(), body = raw(as.integer(sub("/", "", req$PATH_INFO))))`, &Options{MaxFrame: 1 << 20})
	var c *ConditionError
	if _, err := w.Do(t.Context(), get("/2000000")); !errors.As(err, &c) || !slices.Contains(c.Classes, "rpipe_too_large") {
		t.Errorf("got %v", err)
	}
	if a := answer(t, w, get("/1000000")); len(a.Body) != 1000000 {
		t.Errorf("%d bytes", len(a.Body))
	}
}

func TestAnErrorOfTheHandlerHasItsTraceback(t *testing.T) {
	t.Parallel()
	w := answering(t, `local({
		inner <- function() stop("no such order")
		function(req) { warning("odd"); inner() }
	})`, nil)
	_, err := w.Do(t.Context(), get("/"))
	var c *ConditionError
	if !errors.As(err, &c) || c.Message != "no such order" || !slices.Equal(c.Traceback, []string{"handler(req)", "inner()", `stop("no such order")`}) || !slices.Equal(c.Warnings, []string{"odd"}) {
		t.Errorf("%#v", err)
	}
}

// exiting writes into a file which process has ended, and whether it had its
// temporary directory.
const exiting = `structure(
	function(req) list(status = 200L, headers = list(), body = as.character(Sys.getpid())),
	exit = function() {
		cat(Sys.getpid(), dir.exists(tempdir()), "\n", file = file.path(Sys.getenv("EXITS"), Sys.getpid()), append = TRUE)
	}
)`

func TestTheExitOfAHandlerIsCalledOnceForEachWorker(t *testing.T) {
	t.Parallel()
	for _, start := range []Start{StartAuto, StartSpawn} {
		dir := t.TempDir()
		env := realEnvironment()
		env.Start, env.Handler, env.Env = start, exiting, append(env.Env, "EXITS="+dir)
		p := realPool(t, Options{Max: 2, MaxRequests: 2})
		if err := p.Warm(t.Context(), env, 2); err != nil {
			t.Fatal(err)
		}
		served := make(map[string]bool)
		for range 5 {
			served[string(mustDo(t, p, env, get("/")).HTTP.Body)] = true
		}
		isolated := get("/")
		isolated.Isolate = true
		mustDo(t, p, env, isolated)
		if err := p.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		told, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if started := p.Stats().Total.Started; int64(len(told)) != started {
			t.Errorf("start %q: %d exits of %d workers", start, len(told), started)
		}
		for _, f := range told {
			delete(served, f.Name())
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil || string(b) != f.Name()+" TRUE \n" {
				t.Errorf("start %q: %s: %q, %v", start, f.Name(), b, err)
			}
		}
		if len(served) > 0 {
			t.Errorf("start %q: no exit of %v", start, served)
		}
	}
}

func TestAnExitThatHangsIsCutShort(t *testing.T) {
	t.Parallel()
	env := realEnvironment()
	env.Handler = `structure(function(req) list(status = 200L, headers = list(), body = NULL), exit = function() Sys.sleep(600))`
	p := realPool(t, Options{Max: 1, Grace: 100 * time.Millisecond})
	mustDo(t, p, env, get("/"))
	start := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
}
