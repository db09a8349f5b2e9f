package repo

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/program"
)

// TestTheExampleOfTheProxyAnswers: the API, its predictions in batches and its
// pipeline, as configs/examples/proxy has them.
func TestTheExampleOfTheProxyAnswers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "configs/examples"))); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program.Path, "proxy", "--config", "proxy.yaml", "-v", "listen=127.0.0.1:0")
	c.Dir = filepath.Join(dir, "proxy")
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`msg=serving url=(\S+)`)
	url := ""
	var log strings.Builder
	for lines := bufio.NewScanner(stderr); url == "" && lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if m := said.FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		io.Copy(io.Discard, stderr)
	}()
	defer func() {
		c.Process.Signal(syscall.SIGTERM)
		<-rest
		if err := c.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()
	if url == "" {
		t.Fatalf("it does not serve:\n%s", log.String())
	}
	f := func(r *http.Request, want string) {
		t.Helper()
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || !regexp.MustCompile(want).Match(body) {
			t.Errorf("%s %s: %d %s, not %s", r.Method, r.URL.Path, resp.StatusCode, body, want)
		}
	}
	get := func(path string) *http.Request {
		r, _ := http.NewRequest(http.MethodGet, url+path, nil)
		return r
	}
	post := func(path, body string) *http.Request {
		r, _ := http.NewRequest(http.MethodPost, url+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	const flight = `{"carrier": "UA", "origin": "EWR", "hour": 18, "distance": 719, "dep_delay": 5}`
	f(get("/delay?carrier=UA&origin=EWR&hour=18&distance=719"), `[0-9]`)
	f(get("/__docs__/"), `(?i)swagger`)
	f(post("/predict", "["+flight+","+flight+"]"), `\[\{"minutes":[-0-9.]+\},\{"minutes":[-0-9.]+\}\]`)
	f(post("/score", "["+flight+"]"), `"predicted":[-0-9.]+,"late":(true|false)`)
	http.DefaultClient.CloseIdleConnections()
}
