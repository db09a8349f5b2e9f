//go:build linux && (soak || long)

package estate

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// estate is one rpipe serve, through all of its lives.
type estate struct {
	t    *testing.T
	dir  string // of its configuration, and what R writes
	disk string // of its store: a small file system of its own, where there can be one
	full bool   // it is one
	addr string
	mark string // in the environment of all of its processes
	http *http.Client
	over chan struct{} // closed when it is not to be started anew
	gone sync.WaitGroup

	mu       sync.Mutex
	cmd      *exec.Cmd // of this life
	ended    chan struct{}
	lives    int
	kills    int // of R processes
	lastKill time.Time
	up       bool      // it is ready
	turned   time.Time // it became so, or ended
}

// patience is how long anything may take on a machine that others use.
const patience = 2 * time.Minute

// rows is how many the pipeline writes.
const rows = 2000

const api = `
#* @get /double
#* @serializer unboxedJSON
function(x) list(value = 2 * as.numeric(x))
`

const pipeline = `version: 1
name: rows
schedule: {cron: "@every 4s", catch_up: all, overlap: queue, keep: {runs: 100000}}
source: {range: {to: %d, column: n}}
stages:
  - batch: {rows: 500}
  - map: {fun: twice}
r: {source: twice.R}
sink:
  parquet: {path: "%s/rows/${run.scheduled_time}", if_exists: replace}
`

func (e *estate) config() string {
	schedule := func(name, policy, body string) string {
		return fmt.Sprintf("  - {name: %s, cron: \"* * * * * *\", %s, keep: {runs: 1000000, age: 0}, retries: 5, backoff: 1s, expr: '%s'}\n", name, policy, body)
	}
	line := func(name string) string {
		return fmt.Sprintf(`cat(format(scheduled_time, "%%Y-%%m-%%dT%%H:%%M:%%SZ", tz = "UTC"), "\n", sep = "", file = "%s", append = TRUE)`, filepath.Join(e.dir, name+".fired"))
	}
	return "version: 1\n" +
		"listen: " + e.addr + "\ndata: " + filepath.Join(e.disk, "data") + "\ntokens: " + filepath.Join(e.dir, "tokens.json") + "\n" +
		"grace: 20s\nnats: {lease: 5s}\nworkers: {max: 3}\n" +
		"pipelines: {dir: pipelines}\n" +
		"apis:\n  - {name: api, path: /api, pool: tasks, plumber: {file: plumber.R}}\n" +
		"schedules:\n" +
		schedule("every", "overlap: allow, catch_up: all", line("every")) +
		schedule("turns", "overlap: skip, catch_up: none", "Sys.sleep(2.5); "+line("turns")) +
		schedule("fresh", "overlap: allow, catch_up: none", line("fresh"))
}

// start lays everything out and starts the first life.
func start(t *testing.T) *estate {
	e := &estate{
		t: t, dir: t.TempDir(), disk: t.TempDir(), addr: program.FreeAddr(t), mark: "RPIPE_ESTATE=" + rand.Text(),
		http: &http.Client{Timeout: 30 * time.Second}, over: make(chan struct{}),
	}
	if err := unix.Mount("tmpfs", e.disk, "tmpfs", 0, "size=1g"); err == nil {
		e.full = true
		t.Cleanup(func() {
			if err := unix.Unmount(e.disk, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	} else {
		t.Log("no small file system can be mounted here, so the disk will not be full: ", err)
	}
	for name, text := range map[string]string{
		"rpipe.yaml": e.config(), "plumber.R": api, "pipelines/rows.yaml": fmt.Sprintf(pipeline, rows, e.dir),
		"pipelines/twice.R": "twice <- function(d) { d$twice <- 2 * d$n; d }\n",
	} {
		path := filepath.Join(e.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	e.gone.Go(e.supervise)
	t.Cleanup(e.finish)
	if !e.await(patience) {
		t.FailNow()
	}
	return e
}

// supervise starts the server again whenever it has ended, as systemd would.
func (e *estate) supervise() {
	for {
		log, err := os.OpenFile(filepath.Join(e.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			e.t.Error(err)
			return
		}
		cmd := exec.Command(program.Path, "serve", "rpipe.yaml")
		cmd.Dir, cmd.Stdout, cmd.Stderr = e.dir, log, log
		cmd.Env = append(os.Environ(), e.mark, "TMPDIR="+e.dir)
		ended := make(chan struct{})
		e.mu.Lock()
		err = cmd.Start()
		e.cmd, e.ended = cmd, ended
		e.lives++
		e.mu.Unlock()
		if err != nil {
			e.t.Error(err)
			return
		}
		e.gone.Go(func() { e.awaitReady(ended) })
		_ = cmd.Wait() // how it ended is told where that is looked at
		log.Close()
		close(ended)
		e.turn(false)
		select {
		case <-e.over:
			return
		case <-time.After(200 * time.Millisecond): // RestartSec
		}
	}
}

// kill ends this life with -9.
func (e *estate) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.cmd.Process.Kill()
}

// finish ends it for good, whatever the test has come to.
func (e *estate) finish() {
	select {
	case <-e.over:
	default:
		close(e.over)
	}
	e.kill()
	e.gone.Wait()
	if e.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(e.dir, "log"))
		lines := strings.Split(string(text), "\n")
		e.t.Logf("the end of the log:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// drain ends it with SIGTERM, and holds that it ends well.
func (e *estate) drain() {
	close(e.over)
	e.mu.Lock()
	cmd, ended := e.cmd, e.ended
	e.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		e.t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		e.t.Error("it is still there long after SIGTERM")
		return
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		e.t.Errorf("exit status %d after SIGTERM", code)
	}
	e.gone.Wait()
}

// awaitReady notes when a life is ready.
func (e *estate) awaitReady(ended chan struct{}) {
	for {
		if status, _, err := e.ask(context.Background(), "GET", "/readyz", nil); err == nil && status == 200 {
			e.turn(true)
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (e *estate) turn(up bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.up, e.turned = up, time.Now()
}

// await waits until the server is ready.
func (e *estate) await(within time.Duration) (ok bool) {
	e.t.Helper()
	for begun := time.Now(); time.Since(begun) < within; {
		e.mu.Lock()
		up := e.up
		e.mu.Unlock()
		if up {
			if status, _, err := e.ask(e.t.Context(), "GET", "/readyz", nil); err == nil && status == 200 {
				return true
			}
		}
		if !program.Pause(e.t.Context(), 50*time.Millisecond) {
			return false
		}
	}
	e.t.Errorf("it is not ready after %s", within)
	return false
}

// excused reports whether the server was down, or just up again, at some time since; or is
// about to be: one that ends by itself hears nobody any more while it does.
func (e *estate) excused(since time.Time) bool {
	for begun := time.Now(); time.Since(begun) < 20*time.Second; program.Pause(e.t.Context(), 100*time.Millisecond) {
		e.mu.Lock()
		out := !e.up || e.turned.After(since.Add(-time.Second))
		e.mu.Unlock()
		if out {
			return true
		}
		if status, _, err := e.ask(e.t.Context(), "GET", "/healthz", nil); err == nil && status == 200 {
			return false
		}
	}
	return false
}

// ask is one request.
func (e *estate) ask(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+e.addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
