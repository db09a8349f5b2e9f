//go:build unix

package httpuv

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/plumber"
	"github.com/rpipe-dev/rpipe/rpool"
)

const api = `#* @apiTitle An API
#* @filter count
function(req, res) {
  res$setHeader("X-From", req$REMOTE_ADDR)
  plumber::forward()
}
#* @get /hello/<name>
function(name) list(hello = name)
#* @post /sum
#* @serializer unboxedJSON
function(a, b) a + b
#* @get /plot
#* @serializer png
function() plot(1:3)
#* @get /cookies
function(req, res) { res$setCookie("a", "1"); res$setCookie("b", "2"); req$cookies }
#* @get /fail
function() stop("it failed")
#* @get /later
function() promises::promise(function(resolve, reject) later::later(function() resolve("kept"), 0.01))
#* @get /where
#* @serializer text
function() basename(getwd())
#* @assets ./files /files
list()
`

// A plumber API answers over httpuv as it does without.
func TestPlumberAnswersAsItDoesDirectly(t *testing.T) {
	t.Parallel()
	files := map[string]string{"api/plumber.R": api, "api/files/a.txt": "a file"}
	pc := plumber.Config{Dir: "api", Docs: true, Static: true, Retry: true}
	s := serve(t, Config{Kind: Plumber, Dir: "api"}, files, nil)

	env := plumber.Environment(&rpool.Environment{
		Dir: filepath.Join(common.dir(t, files), pc.Root()), Start: rpool.StartFork,
		Env: []string{"R_PROFILE_USER=/dev/null", "R_ENVIRON_USER=/dev/null"},
	}, &pc, plumber.Site{})
	direct, err := plumber.New(t.Context(), plumber.Options{Pool: s.o.Pool, Env: env, Config: &pc, Log: s.o.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Drain(context.Background())
	server := httptest.NewServer(direct)
	defer server.Close()
	other := &served{t: t, url: server.URL}

	f := func(method, path, body string, h http.Header) {
		t.Helper()
		a, got := s.do(method, path, body, h)
		b, want := other.do(method, path, body, h)
		if a.StatusCode != b.StatusCode || got != want {
			t.Errorf("%s %s: %d %.300q, directly %d %.300q", method, path, a.StatusCode, got, b.StatusCode, want)
		}
		for _, name := range []string{"Content-Type", "Set-Cookie", "Location", "X-From", "Allow"} {
			if x, y := strings.Join(a.Header[name], "|"), strings.Join(b.Header[name], "|"); x != y {
				t.Errorf("%s %s: %s is %q, directly %q", method, path, name, x, y)
			}
		}
	}
	json := http.Header{"Content-Type": {"application/json"}}
	for range 2 {
		f("GET", "/hello/w%C3%B6rld", "", nil)
		f("POST", "/sum", `{"a": 1, "b": 2}`, json)
		f("GET", "/plot", "", nil)
		f("GET", "/cookies", "", http.Header{"Cookie": {"x=1; y=2"}})
		f("GET", "/fail", "", nil)
		f("GET", "/later", "", nil)
		f("GET", "/where", "", nil)
		f("GET", "/files/a.txt", "", nil)
		f("GET", "/nowhere", "", nil)
		f("DELETE", "/plot", "", nil)
		f("HEAD", "/hello/x", "", nil)
		f("GET", "/__docs__/", "", nil)
	}
	if _, spec := s.do("GET", "/openapi.json", "", nil); !strings.Contains(spec, "An API") {
		t.Errorf("openapi.json: %.200s", spec)
	}
}
