//go:build linux && (soak || long)

package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/internal/marked"
	"github.com/rpipe-dev/rpipe/internal/program"
)

// perJob is how many tasks a job of the load has.
const perJob = 5

// submit submits a job now and then, again with the same key until it is taken.
func (e *estate) submit(ctx context.Context, jobs *[]string) {
	for n := 0; program.Pause(ctx, 500*time.Millisecond); n++ {
		over := make([]int, perJob)
		for i := range over {
			over[i] = n*perJob + i
		}
		body, err := json.Marshal(map[string]any{"key": fmt.Sprint("job ", n), "fun": "function(x) { if (x %% 7 == 0) Sys.sleep(0.2); x + 1 }", "over": over})
		if err != nil {
			e.t.Error(err)
			return
		}
		for begun := time.Now(); ; {
			status, answer, err := e.ask(context.WithoutCancel(ctx), "POST", "/v1/jobs", body)
			if err == nil && status/100 == 2 {
				var j struct{ ID string }
				if err := json.Unmarshal(answer, &j); err != nil || j.ID == "" {
					e.t.Errorf("a job was taken, and the answer is %s", answer)
				}
				*jobs = append(*jobs, j.ID)
				break
			}
			if err == nil && status != 503 && status != 507 {
				e.t.Errorf("a submission got %d: %s", status, answer)
			}
			if time.Since(begun) > 2*patience {
				e.t.Errorf("no job is taken for %s: %d %s %v", 2*patience, status, answer, err)
				return
			}
			program.Pause(context.WithoutCancel(ctx), 100*time.Millisecond)
		}
	}
}

// pages are what a person looks at, and a program asks.
var pages = []string{
	"/ui/", "/ui/tasks", "/ui/workers", "/ui/queues", "/ui/jobs", "/ui/schedules", "/ui/pipelines", "/ui/apis", "/ui/settings",
	"/v1/schedules", "/v1/runs", "/v1/pipelines", "/v1/series", "/v1/counts", "/v1/workers", "/v1/info", "/metrics", "/healthz",
}

// visit looks at all pages, again and again. Each is there while the server is.
func (e *estate) visit(ctx context.Context, seen map[string]int) {
	for i := 0; program.Pause(ctx, 50*time.Millisecond); i++ {
		path := pages[i%len(pages)]
		begun := time.Now()
		status, answer, err := e.ask(context.WithoutCancel(ctx), "GET", path, nil)
		switch {
		case err == nil && status == 200:
			seen[path]++
		case err == nil && status == 503 && (strings.Contains(string(answer), "full") || strings.Contains(string(answer), "engine has stopped")), e.excused(begun):
		default:
			e.t.Errorf("GET %s: %d %.300s %v", path, status, answer, err)
		}
	}
}

// double asks the plumber API, which answers rightly whatever is killed: a request that
// may be repeated is.
func (e *estate) double(ctx context.Context, answers *int) {
	for i := 0; program.Pause(ctx, 30*time.Millisecond); i++ {
		begun := time.Now()
		status, answer, err := e.ask(context.WithoutCancel(ctx), "GET", fmt.Sprint("/api/double?x=", i), nil)
		switch {
		case err == nil && status == 200:
			if want := fmt.Sprintf(`{"value":%d}`, 2*i); string(answer) != want {
				e.t.Errorf("the API answers %s for %s", answer, want)
			}
			*answers++
		case e.excused(begun), err == nil && status == 502 && e.killedSince(begun):
		default:
			e.t.Errorf("the API answers %d %.300s %v", status, answer, err)
		}
	}
}

func (e *estate) killedSince(t time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastKill.After(t.Add(-time.Second))
}

// killR kills an R process now and then.
func (e *estate) killR(ctx context.Context, rng *rand.Rand) {
	c := marked.Census{Mark: e.mark}
	for program.Pause(ctx, time.Duration(1+rng.IntN(4))*time.Second) {
		workers, _ := c.Victims()
		if len(workers) == 0 {
			continue
		}
		e.mu.Lock()
		if unix.Kill(workers[rng.IntN(len(workers))], unix.SIGKILL) == nil {
			e.kills++
			e.lastKill = time.Now()
		}
		e.mu.Unlock()
	}
}

// killServer kills the server now and then, once it is up.
func (e *estate) killServer(ctx context.Context, rng *rand.Rand) {
	for program.Pause(ctx, time.Duration(5+rng.IntN(10))*time.Second) {
		e.kill()
		if ctx.Err() == nil {
			program.Pause(ctx, time.Second)
			e.await(patience)
		}
	}
}

// fill fills the disk, holds that work is refused, and makes room again.
func (e *estate) fill(ctx context.Context) {
	if !e.full {
		return
	}
	path := filepath.Join(e.disk, "ballast")
	f, err := os.Create(path)
	if err != nil {
		e.t.Error(err)
		return
	}
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(block)
	}
	f.Close()
	refused := false
	for begun := time.Now(); time.Since(begun) < 8*time.Second; program.Pause(ctx, 100*time.Millisecond) {
		if status, _, err := e.ask(ctx, "GET", "/readyz", nil); err == nil && status == 503 {
			refused = true
		}
		if err := fillUp(path, block); err != nil {
			e.t.Error(err)
		}
	}
	if err := os.Remove(path); err != nil {
		e.t.Error(err)
	}
	if !refused {
		e.t.Error("on a full disk it says that it is ready")
	}
	e.await(patience)
}

// fillUp fills what has become free since.
func fillUp(path string, block []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = f.Write(block)
	}
	return f.Close()
}
