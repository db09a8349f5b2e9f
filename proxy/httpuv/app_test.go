//go:build unix

package httpuv

import (
	"net/http"
	"strings"
	"testing"
)

// app is a bare app of httpuv.
const app = `
list(
  call = function(req) {
    text <- function(...) list(status = 200L, headers = list("Content-Type" = "text/plain"), body = paste0(...))
    body <- function() req$rook.input$read()
    switch(req$PATH_INFO,
      "/pid" = text(Sys.getpid()),
      "/echo" = list(status = 201L, headers = list("Content-Type" = "application/octet-stream", "X-A" = "1"), body = body()),
      "/size" = text(length(body())),
      "/big" = list(status = 200L, headers = list("Content-Type" = "application/octet-stream"), body = rep(as.raw(sample.int(255, 1e6, TRUE)), 30)),
      "/env" = text(paste(names(req$HEADERS), req$HEADERS, sep = "=", collapse = "\n"), "\n",
        paste(c("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "rook.url_scheme"),
          mget(c("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "rook.url_scheme"), req), sep = "=", collapse = "\n"),
        "\nQUERY=", req$QUERY_STRING, "\nVARS=", paste(sort(ls(req)), collapse = ",")),
      "/slow" = { Sys.sleep(30); text("done") },
      "/stubborn" = suspendInterrupts(repeat NULL),
      "/warn" = { warning("careful"); message("spoken"); text("warned") },
      "/error" = stop("it broke"),
      "/die" = tools::pskill(Sys.getpid(), 9),
      "/events" = list(status = 200L, headers = list("Content-Type" = "text/event-stream"), body = "data: 1\n\ndata: 2\n\n"),
      "/promise" = promises::promise(function(resolve, reject) later::later(function() resolve(text("kept")), 0.05)),
      text("at ", req$PATH_INFO)
    )
  },
  onWSOpen = function(ws) {
    ws$onMessage(function(binary, message) {
      if (identical(message, "slow")) Sys.sleep(30)
      if (identical(message, "bye")) ws$close(4001L, "as you wish") else if (identical(message, "pid")) ws$send(as.character(Sys.getpid())) else ws$send(message)
    })
  }
)`

func serveApp(t *testing.T, c Config) *served {
	t.Helper()
	c.Kind, c.File = App, "app.R"
	return serve(t, c, map[string]string{"app.R": app}, nil)
}

func TestAnAppAnswers(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	f := func(method, path, body string, status int, want string) {
		t.Helper()
		resp, got := s.do(method, path, body, nil)
		if resp.StatusCode != status || got != want {
			t.Errorf("%s %s: %d %q, want %d %q", method, path, resp.StatusCode, got, status, want)
		}
	}
	f("GET", "/a%2Fb", "", 200, "at /a%2Fb")
	f("POST", "/echo", "a body", 201, "a body")
	f("PUT", "/size", strings.Repeat("x", 5_000_000), 200, "5000000")
	f("HEAD", "/a", "", 200, "")
	f("HEAD", "/a", "", 200, "")
	f("GET", "/promise", "", 200, "kept")
	f("GET", "/events", "", 200, "data: 1\n\ndata: 2\n\n")
	f("GET", "/error", "", 500, "ERROR: it broke")
	if _, got := s.get("/big"); len(got) != 30e6 {
		t.Errorf("%d bytes of 30 MB came", len(got))
	}
	s.get("/warn")
	eventually(t, "R's messages are heard", func() bool {
		return strings.Contains(common.out.String(), "careful") && strings.Contains(common.out.String(), "spoken")
	})
}

func TestCodeThatStartsItsServerItself(t *testing.T) {
	t.Parallel()
	f := func(code string) {
		t.Helper()
		s := serve(t, Config{Kind: App, Code: code}, nil, nil)
		for range 2 {
			if status, body := s.get("/"); status != 200 || body != "here" {
				t.Errorf("%s: %d %q", code, status, body)
			}
		}
	}
	app := `app <- list(call = function(req) list(status = 200L, headers = list(), body = "here"))` + "\n"
	f(app + `httpuv::runServer("0.0.0.0", 80, app)`)
	f(app + `httpuv::startServer("127.0.0.1", 4321, app); NULL`)
	f(app + `httpuv::startPipeServer(tempfile(), strtoi("077", 8), app); NULL`)
	// As Shiny looks for a port that is free.
	f(app + `httpuv::stopServer(httpuv::startServer("127.0.0.1", 4321, list())); httpuv::runServer("127.0.0.1", 4321, app)`)
	f(app + `httpuv::startServer("127.0.0.1", 4321, app); repeat httpuv::service()`)
}

func TestAnAppSeesItsClient(t *testing.T) {
	t.Parallel()
	s := serveApp(t, Config{})
	_, got := s.do("GET", "/env?a=1&b", "", http.Header{
		"Cookie": {"a=1", "b=2"}, "Rpipe-Client": {"6.6.6.6 1 https evil 1"}, "Rpipe-Control": {"leave"},
		"Connection": {"keep-alive, X-Hop"}, "X-Hop": {"1"}, "Expect": {"100-continue"}, "X-Forwarded-For": {"6.6.6.6"}, "X-Kept": {"yes"},
	})
	for _, want := range []string{"cookie=a=1; b=2\n", "REMOTE_ADDR=127.0.0.1\n", "SERVER_NAME=127.0.0.1\n", "rook.url_scheme=http\n", "QUERY=?a=1&b\n", "x-forwarded-for=127.0.0.1\n", "x-kept=yes\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	for _, no := range []string{"rpipe", "RPIPE", "x-hop", "expect", "6.6.6.6", "REMOTE_PORT=0\n"} {
		if strings.Contains(got, no) {
			t.Errorf("%q is in\n%s", no, got)
		}
	}
}
