//go:build unix

package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// files writes a directory of files, by name.
func files(t *testing.T, text map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, s := range text {
		write(t, filepath.Join(dir, name), s)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load reads dir/proxy.yaml, which must be without problems.
func load(t *testing.T, dir string) *File {
	t.Helper()
	f, problems := Load(filepath.Join(dir, "proxy.yaml"), nil)
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	return f
}

// started serves f until the test ends.
func started(t *testing.T, f *File, o Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	f.Log.Access = "off"
	s, err := Start(context.WithoutCancel(t.Context()), f, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// get is the status and body at a path.
func get(t *testing.T, s *Server, path string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	status, body, err := ask(s, path, change...)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return status, body
}

func ask(s *Server, path string, change ...func(*http.Request)) (int, string, error) {
	r, err := http.NewRequest(http.MethodGet, s.URL()+path, nil)
	if err != nil {
		return 0, "", err
	}
	for _, c := range change {
		c(r)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// until waits for done, for as long as a busy machine may take.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute not yet: %s", what)
		}
	}
}

func version(n int) string {
	return fmt.Sprintf("#* @serializer text\n#* @get /version\nfunction() \"%d\"\n#* @serializer text\n#* @get /slow\nfunction() { Sys.sleep(0.3); \"%d\" }\n", n, n)
}

const single = "version: 1\nlisten: 127.0.0.1:0\napis:\n  - plumber: {file: plumber.R}\n"

func TestAPIsAreFoundByTheLongestPathAndByHost(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"root.R": version(0), "a.R": version(1), "b.R": version(2), "host.R": version(3),
		"proxy.yaml": `
version: 1
listen: 127.0.0.1:0
pools: {other: {min: 0, max: 1}}
apis:
  - plumber: {file: root.R}
  - {path: /a, plumber: {file: a.R}}
  - {path: /a/b, plumber: {file: b.R}, pool: other}
  - {host: api.example.com, plumber: {file: host.R}}
`})
	s := started(t, load(t, dir), Options{})
	f := func(path, host, want string) {
		t.Helper()
		status, body := get(t, s, path, func(r *http.Request) { r.Host = host })
		if got := fmt.Sprint(status, " ", body); got != want {
			t.Errorf("%s%s: %s, not %s", host, path, got, want)
		}
	}
	f("/version", "any", "200 0")
	f("/a/version", "any", "200 1")
	f("/a/b/version", "any", "200 2")
	f("/version", "api.example.com", "200 3")
	f("/version", "API.example.com:80", "200 3")
	f("/%61/version", "any", "200 1")
	f("/a%2Fb/version", "any", "200 2")
	f("/a/b%2fversion", "any", "200 2")
	f("/ab/version", "any", `404 {"error":"404 - Resource Not Found"}`)
	status, _ := get(t, s, "/a?x=1")
	if status != http.StatusTemporaryRedirect {
		t.Errorf("/a without its slash: %d", status)
	}
}

// While requests come all the time, code is replaced three times, once by code
// that does not work: each request is answered, by one of the versions.
func TestAReloadLosesNoRequest(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": version(1), "proxy.yaml": single})
	s := started(t, load(t, dir), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for i := range 4 {
		path := []string{"/version", "/slow"}[i%2]
		wg.Go(func() {
			for ctx.Err() == nil {
				status, body, err := ask(s, path)
				mu.Lock()
				seen[fmt.Sprint(status, " ", body, " ", err)]++
				mu.Unlock()
			}
		})
	}
	reload := func(text string, works bool) {
		t.Helper()
		write(t, filepath.Join(dir, "plumber.R"), text)
		if err := s.Reload(t.Context()); (err == nil) != works {
			t.Errorf("reload: %v", err)
		} else if err != nil && !strings.Contains(err.Error(), "plumber.R:2") {
			t.Errorf("the error does not name the line: %v", err)
		}
	}
	reload(version(2), true)
	reload("#* @get /version\nstop('not like this')\n", false)
	if _, body := get(t, s, "/version"); body != "2" {
		t.Errorf("after code that does not work: %s", body)
	}
	if d := s.Snapshot().APIs[0]; d.Err == nil || d.Generation == 0 {
		t.Errorf("the status does not say that the newest code does not work: %+v", d)
	}
	reload(version(3), true)
	if d := s.Snapshot().APIs[0]; d.Err != nil {
		t.Errorf("the status still says %v", d.Err)
	}
	until(t, "the newest code is seen", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen["200 3 <nil>"] > 0
	})
	cancel()
	wg.Wait()
	for answer := range seen {
		if answer != "200 1 <nil>" && answer != "200 2 <nil>" && answer != "200 3 <nil>" {
			t.Errorf("%d times %s", seen[answer], answer)
		}
	}
	if seen["200 1 <nil>"] == 0 {
		t.Errorf("the first version was not seen: %v", seen)
	}
	until(t, "the environments of old code are gone", func() bool { return len(s.mount.Pool("default").Stats().Environments) == 1 })
}

func TestAPIsComeAndGoWithTheFile(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": version(1), "more.R": version(2), "proxy.yaml": single})
	s := started(t, load(t, dir), Options{})
	again := func(text string) error {
		write(t, filepath.Join(dir, "proxy.yaml"), text)
		return s.Reload(t.Context())
	}
	if err := again(single + "  - {path: /more, plumber: {file: more.R}}\n"); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, s, "/more/version"); body != "2" {
		t.Errorf("the new API answers %q", body)
	}
	bigger := "pools: {big: {max: 1}}\n"
	if err := again(bigger + single + "  - {path: /big, pool: big, plumber: {file: more.R}}\n  - {path: /more, plumber: {file: more.R}}\n"); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("an API of a pool that is new: %v", err)
	}
	if status, _ := get(t, s, "/big/version"); status != http.StatusServiceUnavailable {
		t.Errorf("an API of a pool that is new answers %d", status)
	}
	if err := again(single + "  - {path: /more, plumbr: {}}\n"); err == nil || !strings.Contains(err.Error(), "proxy.yaml:5") {
		t.Errorf("a file with a mistake: %v", err)
	}
	if _, body := get(t, s, "/more/version"); body != "2" {
		t.Errorf("after a mistake the API answers %q", body)
	}
	if err := again(single); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, s, "/more/version"); status != http.StatusNotFound {
		t.Errorf("an API that is not in the file any more answers %d", status)
	}
}

// In development a file that is saved is served at once; a browser is shown what
// is wrong with it, other clients get what worked last.
func TestWatchedFilesAreServedWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": "#* @get /version\nfunctio() 1\n", "proxy.yaml": single})
	s := started(t, load(t, dir), Options{Watch: true})
	browser := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Accept", "text/html")
	}
	status, page := get(t, s, "/version", browser)
	if status != http.StatusServiceUnavailable || !strings.Contains(page, "plumber.R:2") || !strings.Contains(page, "functio") {
		t.Errorf("code that does not work at the start: %d %s", status, page)
	}
	write(t, filepath.Join(dir, "plumber.R"), version(1))
	until(t, "the saved file is served", func() bool { _, body := get(t, s, "/version"); return body == "1" })
	write(t, filepath.Join(dir, "plumber.R"), "#* @get /version\nstop('half written')\n")
	until(t, "the mistake is shown", func() bool {
		_, page := get(t, s, "/version", browser)
		return strings.Contains(page, "half written")
	})
	if _, body := get(t, s, "/version"); body != "1" {
		t.Errorf("a client that is no browser gets %q", body)
	}
	write(t, filepath.Join(dir, "plumber.R"), version(2))
	until(t, "the saved file is served", func() bool { _, body := get(t, s, "/version", browser); return body == "2" })
}

// What is under way when the server is told to end is answered; nobody comes in.
func TestADrainAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": version(1), "proxy.yaml": single})
	s := started(t, load(t, dir), Options{})
	answers := make(chan string, 4)
	for range 4 {
		go func() {
			status, body, err := ask(s, "/slow")
			answers <- fmt.Sprint(status, " ", body, " ", err)
		}()
	}
	until(t, "a request is in R", func() bool { return s.Snapshot().Pools[0].Stats.Total.Busy > 0 })
	s.Drain(t.Context())
	if err := s.Wait(); err != nil {
		t.Errorf("wait: %v", err)
	}
	for range 4 {
		if a := <-answers; a != "200 1 <nil>" && !strings.Contains(a, "refused") && !strings.Contains(a, "reset") {
			t.Errorf("%s", a)
		}
	}
	if _, _, err := ask(s, "/version"); err == nil {
		t.Error("a drained server answers")
	}
}

// However often the server is asked to reload while it does, one more reload sees
// the newest code.
func TestManySignalsAreOneReload(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": version(1), "proxy.yaml": single})
	s := started(t, load(t, dir), Options{})
	before := s.mount.generations.Load()
	s.reloading.Lock()
	for range 20 {
		s.ReloadLater(func() {})
	}
	s.reloading.Unlock()
	until(t, "the new code serves", func() bool { return int64(s.Snapshot().APIs[0].Generation) > before })
	write(t, filepath.Join(dir, "plumber.R"), version(2))
	s.ReloadLater(func() {})
	until(t, "newer code serves", func() bool { _, body := get(t, s, "/version"); return body == "2" })
	s.Close()
	if n := s.mount.generations.Load() - before; n != 2 {
		t.Errorf("loaded %d times", n)
	}
}

// A request that comes when its API has ended, with no other in its place, is
// refused; it does not look for another API for ever.
func TestAnAPIThatHasEndedRefuses(t *testing.T) {
	t.Parallel()
	var rt router
	ended := &api{config: &API{Path: "/"}}
	ended.gate.shut(t.Context())
	rt.site.Store(&site{apis: []*slot{{config: ended.config, api: ended}}})
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// beside is a directory with an API and, on its pool, a pipeline over so many rows.
func beside(t *testing.T, rows int, api string) string {
	t.Helper()
	return files(t, map[string]string{
		"plumber.R": api,
		"model.R":   "twice <- function(d) { d$y <- 2 * d$n; d }\n",
		"bulk.yaml": fmt.Sprintf(`
version: 1
r: {source: [model.R]}
source: {range: {rows: %d, column: n}}
stages:
  - batch: {rows: 500}
  - map: {fun: twice}
sink: {ndjson: {path: out}}
`, rows),
		"proxy.yaml": `
version: 1
listen: 127.0.0.1:0
pools: {default: {min: 1, max: 2, reserve: 1}}
apis: [{plumber: {file: plumber.R}}]
pipelines: [{file: bulk.yaml}]
`})
}

// A start that is given up lets go of the APIs that were up already: what is left
// of them is found at the end of this package's tests.
func TestAStartThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"plumber.R":  version(1),
		"slow.R":     "file.create(\"loading\")\nSys.sleep(60)\n#* @get /x\nfunction() 1\n",
		"proxy.yaml": single + "  - {path: /slow, plumber: {file: slow.R}}\n",
	})
	f := load(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Start(ctx, f, Options{})
		ended <- err
	}()
	until(t, "the second API loads", func() bool { return exists(filepath.Join(dir, "loading")) })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
}

// Pipelines end in good order while requests do, not in what those leave of the time.
func TestADrainStopsPipelinesAtOnce(t *testing.T) {
	t.Parallel()
	dir := beside(t, 1_000_000_000, "#* @serializer text\n#* @get /hold\nfunction() { while (!file.exists(\"go\")) Sys.sleep(0.05); \"held\" }\n")
	s := started(t, load(t, dir), Options{})
	until(t, "the pipeline works", func() bool { return s.Snapshot().Pipelines[0].Rows > 0 })
	answer := make(chan string, 1)
	go func() {
		status, body, err := ask(s, "/hold")
		answer <- fmt.Sprint(status, " ", body, " ", err)
	}()
	until(t, "a request is in R", func() bool {
		return slices.ContainsFunc(s.Snapshot().Pools[0].Stats.Environments, func(e rpool.EnvironmentStats) bool {
			return slices.ContainsFunc(e.Workers, func(w rpool.WorkerStats) bool { return w.Busy && w.Priority == rpool.Interactive })
		})
	})
	s.DrainLater()
	until(t, "the pipeline has stopped", func() bool { return s.Snapshot().Pipelines[0].State == "stopped" })
	write(t, filepath.Join(dir, "go"), "")
	if got := <-answer; got != "200 held <nil>" {
		t.Errorf("the request that was under way: %s", got)
	}
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

// A drain whose time is over cancels what is left, with an answer.
func TestADrainHasAnEnd(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": "#* @get /ever\nfunction() repeat Sys.sleep(1)\n", "proxy.yaml": single})
	s := started(t, load(t, dir), Options{})
	answer := make(chan int, 1)
	go func() {
		status, _, _ := ask(s, "/ever")
		answer <- status
	}()
	until(t, "a request is in R", func() bool { return s.Snapshot().Pools[0].Stats.Total.Busy > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	s.Drain(ctx)
	if status := <-answer; status != http.StatusServiceUnavailable {
		t.Errorf("answered with %d", status)
	}
}

func TestAPipelineRunsBesideTheAPIs(t *testing.T) {
	t.Parallel()
	dir := beside(t, 20_000, version(1))
	s := started(t, load(t, dir), Options{})
	until(t, "the pipeline is done", func() bool {
		if _, body := get(t, s, "/version"); body != "1" {
			t.Fatalf("beside a pipeline the API answers %q", body)
		}
		p := s.Snapshot().Pipelines[0]
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		return p.State == "done"
	})
	if p := s.Snapshot().Pipelines[0]; p.Rows != 20000 {
		t.Errorf("%+v", p)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "out", "*.ndjson")); len(found) == 0 {
		t.Error("the pipeline has written nothing")
	}
}

func TestWhatIsWrongWithAFileIsSaidWithItsPlace(t *testing.T) {
	t.Parallel()
	f := func(text, want string) {
		t.Helper()
		dir := files(t, map[string]string{"plumber.R": version(1), "proxy.yaml": text})
		_, problems := Check(t.Context(), filepath.Join(dir, "proxy.yaml"), nil)
		got := fmt.Sprint(problems)
		if !strings.Contains(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	f("version: 1\napis: []\n", "apis")
	f("version: 1\napis: [{path: /a}]\n", "has nothing to serve")
	f("version: 1\napis: [{path: //a, plumber: {file: plumber.R}}]\n", "is no plain path")
	f("version: 1\napis: [{path: /a/../b, plumber: {file: plumber.R}}]\n", "is no plain path")
	f("version: 1\napis: [{path: /a%2Fb, plumber: {file: plumber.R}}]\n", "is no plain path")
	f("version: 1\napis: [{host: 'a.example:80', plumber: {file: plumber.R}}]\n", "say a.example")
	f("version: 1\napis: [{host: '*.example', plumber: {file: plumber.R}}]\n", "is no host name")
	f("version: 1\napis: [{plumber: {file: plumbr.R}}]\n", "no such file")
	f("version: 1\napis: [{plumber: {file: plumber.R}, pool: defalt}]\n", "there is no pool defalt")
	f("version: 1\napis:\n  - plumber: {file: plumber.R}\n  - plumber: {file: plumber.R}\n", "proxy.yaml:4")
	f("version: 1\npools: {default: {min: 3, max: 2}}\napis: [{plumber: {file: plumber.R}}]\n", "is larger than max")
	f("version: 1\nlisten: nowhere\napis: [{plumber: {file: plumber.R}}]\n", "neither host:port nor a path")
	f("version: 1\napis: [{plumber: {file: plumber.R}, predict: [{path: /p, pipeline: no.yaml}]}]\n", "no such file")
}
