//go:build unix

package worker

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

func TestMain(m *testing.M) {
	rpool.GuardMain()
	goleak.VerifyTestMain(m)
}

// ask is the answer at an address.
func ask(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) { // what it asks has no events
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestHealth: a worker is ready while it can reach its server, and shows its R processes.
func TestHealth(t *testing.T) {
	cluster, err := broker.OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := broker.Open(t.Context(), broker.Options{
		Dir: filepath.Join(t.TempDir(), "store"), Durability: broker.Durability("interval:200ms"), Listen: "127.0.0.1:0", Cluster: cluster, Name: "server",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	o := Options{Join: cluster.Join(false, server.URL()).String(), Health: "127.0.0.1:0"}
	o.Node.Max, o.Node.Version = 3, "v1"
	w, err := Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	f := func(path string, want int, text string, header ...string) {
		t.Helper()
		if status, body := ask(t, w.healthURL+path, header...); status != want || !strings.Contains(body, text) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	eventually(t, "its pool is there", func() bool {
		_, body := ask(t, w.healthURL+"/metrics")
		return strings.Contains(body, `rpipe_pool_max_workers{pool="tasks"} 3`)
	})
	f("/metrics", 200, `rpipe_worker_processes{what="max"} 3`)
	f("/healthz", 200, "ok")
	f("/readyz", 200, "ok")
	f("/readyz", 200, `{"ok":true,"status":"ok"}`, "Accept", "application/json")
	f("/tasks", 404, "")

	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is not ready", func() bool {
		status, body := ask(t, w.healthURL+"/readyz")
		return status == 503 && strings.Contains(body, "the server is away")
	})
	f("/healthz", 200, "ok") // it joins again by itself
	w.Stop(context.Canceled)
	<-w.done
	f("/healthz", 503, "the worker has ended")
	f("/readyz", 503, `"ok":false`, "Accept", "application/json")
}

// TestHealthAddress: one that cannot be listened at is an error of the options.
func TestHealthAddress(t *testing.T) {
	w := new(Worker)
	err := w.openHealth(t.Context(), &Options{Health: "127.0.0.1:none"})
	if _, is := err.(*ConfigError); !is || !strings.Contains(err.Error(), "--health-listen") {
		t.Errorf("%v", err)
	}
}
