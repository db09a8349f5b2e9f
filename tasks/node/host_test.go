//go:build unix

package node

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// hostEnv makes the test binary a worker in a process of its own: see hostMain.
const hostEnv = "RPIPE_TEST_NODE"

// host is what such a process is told.
type host struct {
	Join  string
	ID    string
	Cache string
	Max   int
}

// hostMain is a worker until it is killed.
func hostMain() {
	var h host
	err := json.Unmarshal([]byte(os.Getenv(hostEnv)), &h)
	if err == nil {
		err = h.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (h *host) run() error {
	ctx := context.Background()
	join, err := broker.ParseJoin(h.Join)
	if err != nil {
		return err
	}
	b, err := broker.Open(ctx, broker.Options{Join: join})
	if err != nil {
		return err
	}
	defer b.Close()
	s, err := blob.Open(blob.Options{Objects: b.Objects(), Cache: h.Cache + "/values"})
	if err != nil {
		return err
	}
	defer s.Close()
	n, err := New(b, s, Options{ID: h.ID, Max: h.Max, CacheDir: h.Cache + "/files", Base: bare(), Limits: rpool.Options{Grace: time.Second}})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return n.Run(ctx)
}

// elsewhere starts a worker in a process of its own, and waits until it is up. It is
// killed with the test.
func (w *world) elsewhere(join *broker.Join, id string, max int) *exec.Cmd {
	w.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), hostEnv+"="+string(w.json(host{join.String(), id, w.TempDir(), max})))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		w.Fatalf("worker %s: %q, %v", id, line, err)
	}
	return c
}

// clustered is a world with a port for workers elsewhere.
func clustered(t *testing.T, o broker.Options) (*world, *broker.Join) {
	t.Helper()
	c, err := broker.OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Listen, o.Cluster = "127.0.0.1:0", c
	w := newWorld(t, o)
	return w, c.Join(false, w.b.URL())
}
