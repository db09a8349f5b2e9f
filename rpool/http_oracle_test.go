//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// responses are what handlers may answer with, sensible or not. Those that httpuv
// answers itself with an error, or not at all, are errors here.
var responses = []struct {
	name, code string
	refused    bool
}{
	{"plain", `list(status = 200L, headers = list(A = "b"), body = "x")`, false},
	{"status as double", `list(status = 200.7, headers = list(A = "b"), body = "x")`, false},
	{"status as text", `list(status = "200", headers = list(A = "b"), body = "x")`, true},
	{"status NA", `list(status = NA_integer_, headers = list(A = "b"), body = "x")`, true},
	{"no status", `list(headers = list(A = "b"), body = "x")`, true},
	{"two statuses", `list(status = c(200L, 201L), headers = list(A = "b"), body = "x")`, true},
	{"headers NULL", `list(status = 200L, headers = NULL, body = "x")`, false},
	{"no headers", `list(status = 200L, headers = list(), body = "x")`, false},
	{"headers as character", `list(status = 200L, headers = c(A = "b", C = "d"), body = "x")`, false},
	{"headers without names", `list(status = 200L, headers = list("b"), body = "x")`, true},
	{"header NA", `list(status = 200L, headers = list(A = NA), body = "x")`, false},
	{"header of two values", `list(status = 200L, headers = list(A = c("b", "c")), body = "x")`, true},
	{"header of none", `list(status = 200L, headers = list(A = character()), body = "x")`, true},
	{"headers of all kinds", `list(status = 200L, headers = list(A = 1e5, B = 123456789, C = TRUE, D = as.Date("2026-01-31"), E = 0.1, F = factor("q")), body = "x")`, false},
	{"header in latin1", `list(status = 200L, headers = list(A = "caf\xe9"), body = "x")`, false},
	{"header marked latin1", "list(status = 200L, headers = list(A = `Encoding<-`('caf\\xe9', 'latin1')), body = 'x')", false},
	{"repeated headers", `list(status = 200L, headers = list("Set-Cookie" = "a", "Set-Cookie" = "b"), body = "")`, false},
	{"raw body", `list(status = 200L, headers = list(A = "b"), body = structure(as.raw(0:255), class = "blob"))`, false},
	{"empty raw body", `list(status = 200L, headers = list(A = "b"), body = raw())`, false},
	{"no text", `list(status = 200L, headers = list(A = "b"), body = character())`, true},
	{"two texts", `list(status = 200L, headers = list(A = "b"), body = c("a", "b"))`, false},
	{"text NA", `list(status = 200L, headers = list(A = "b"), body = NA_character_)`, false},
	{"body in latin1", `list(status = 200L, headers = list(A = "b"), body = "caf\xe9")`, false},
	{"body marked latin1", "list(status = 200L, headers = list(A = 'b'), body = `Encoding<-`('caf\\xe9', 'latin1'))", false},
	{"body marked bytes", "list(status = 200L, headers = list(A = 'b'), body = `Encoding<-`('caf\\xe9', 'bytes'))", false},
	{"number as body", `list(status = 200L, headers = list(A = "b"), body = 65.5)`, false},
	{"integers as body", `list(status = 200L, headers = list(A = "b"), body = 65:66)`, false},
	{"logical as body", `list(status = 200L, headers = list(A = "b"), body = TRUE)`, false},
	{"factor as body", `list(status = 200L, headers = list(A = "b"), body = factor("q"))`, false},
	{"list as body", `list(status = 200L, headers = list(A = "b"), body = list(a = 1))`, true},
	{"function as body", `list(status = 200L, headers = list(A = "b"), body = function() 1)`, true},
	{"JSON", `list(status = 200L, headers = list(A = "b"), body = structure("{}", class = "json"))`, false},
	{"file", `list(status = 200L, headers = list(A = "b"), body = c(file = Sys.getenv("FILE")))`, false},
	{"file in a list", `list(status = 200L, headers = list(A = "b"), body = list(file = Sys.getenv("FILE"), owned = FALSE))`, false},
	{"file named second", `list(status = 200L, headers = list(A = "b"), body = c(x = "y", file = Sys.getenv("FILE")))`, false},
	{"no such file", `list(status = 200L, headers = list(A = "b"), body = c(file = "/nonexistent"))`, true},
	{"text instead of a list", `"x"`, true},
	{"number instead of a list", `5`, true},
	{"environment", `list2env(list(status = 200L, headers = list(A = "b"), body = "x"))`, false},
	{"unnamed list", `list(200L, list(), "x")`, true},
}

// httpuvs is a client of an httpuv that answers with responses, number by path.
func httpuvs(t *testing.T, codes, file string) *http.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "uv") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	env := realEnvironment()
	env.Env = append(env.Env, "FILE="+file, "DIR="+dir)
	p := realPool(t, Options{Max: 1})
	r := run(`local({
		responses <- ` + codes + `
		app <- list(call = function(req) responses[[as.integer(substring(req$PATH_INFO, 2))]])
		server <- httpuv::startPipeServer(file.path(Sys.getenv("DIR"), "s"), NULL, app)
		file.create(file.path(Sys.getenv("DIR"), "ready"))
		while (!file.exists(file.path(Sys.getenv("DIR"), "ending"))) {
			tryCatch(later::run_now(60), error = function(e) NULL, interrupt = function(i) NULL)
		}
		httpuv::stopServer(server)
	})`)
	r.Ending = filepath.Join(dir, "ending")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Do(ctx, env, Interactive, r)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("httpuv's loop: %v", err)
		}
	})
	appears(t, filepath.Join(dir, "ready"))
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "s"))
		},
	}}
}

// Whatever httpuv makes of a handler's response, the same comes here.
func TestResponsesAreAsHttpuvSendsThem(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("from a file\n\x00\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	codes := "list("
	for i, r := range responses {
		if i > 0 {
			codes += ",\n"
		}
		codes += r.code
	}
	codes += ")"
	client := httpuvs(t, codes, file)
	ours := started(t, launched(t, &Environment{Start: StartFork, Env: []string{"FILE=" + file}, Handler: `local({
		responses <- ` + codes + `
		function(req) responses[[as.integer(substring(req$PATH_INFO, 2))]]
	})`}, nil))
	for i, r := range responses {
		path := fmt.Sprintf("/%d", i+1)
		reply, err := ours.Do(t.Context(), get(path))
		if r.refused {
			var c *ConditionError
			if !errors.As(err, &c) || !slices.Contains(c.Classes, "rpipe_response") {
				t.Errorf("%s: got %v, want a refusal", r.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		theirs, err := client.Get("http://httpuv" + path)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		want, err := io.ReadAll(theirs.Body)
		theirs.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		a := reply.HTTP
		got := a.Body
		if a.File != "" {
			f, err := a.Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err = io.ReadAll(f)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		headers := make(http.Header)
		for _, f := range a.Headers {
			headers.Add(f.Name, f.Value)
		}
		theirs.Header.Del("Date")
		theirs.Header.Del("Content-Length")
		if a.Status != theirs.StatusCode || string(got) != string(want) || fmt.Sprintf("%q", headers) != fmt.Sprintf("%q", theirs.Header) {
			t.Errorf("%s:\n got %d %q %q\nwant %d %q %q", r.name, a.Status, headers, got, theirs.StatusCode, theirs.Header, want)
		}
	}
}
