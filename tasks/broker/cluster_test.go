package broker

import (
	"context"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rpipe-dev/rpipe/tasks"
)

func serveSeed(t testing.TB, c *Cluster) string { return file(t, "serve.nk", c.seeds[roleServe]) }
func caFile(t testing.TB, c *Cluster) string    { return file(t, "ca.pem", c.ca) }

func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// joined is a server with a port, and a worker that has joined it.
func joined(t testing.TB) (server, worker *Broker, cluster *Cluster) {
	t.Helper()
	cluster, err := OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server = open(t, func(o *Options) { o.Listen, o.Cluster, o.AckWait = "127.0.0.1:0", cluster, 7*time.Second })
	worker = join(t, cluster.Join(false, server.URL()))
	return server, worker, cluster
}

func join(t testing.TB, j *Join) *Broker {
	t.Helper()
	parsed, err := ParseJoin(j.String())
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(t.Context(), Options{Join: parsed, Name: "worker", Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestWorkerElsewhereDoesItsWork(t *testing.T) {
	server, worker, _ := joined(t)
	ctx := within(t)
	if worker.AckWait() != 7*time.Second || !worker.grouped {
		t.Errorf("the worker has AckWait %s, grouped %v", worker.AckWait(), worker.grouped)
	}
	seq, err := server.Write(ctx, Write{Subject: "rp.s.job.1", Data: []byte("PENDING")})
	if err != nil {
		t.Fatal(err)
	}
	push(t, server, Work{"q", tasks.Normal, "job", 1})
	l := lanesOf(t, worker, "q")
	ds, err := l.Next(ctx, 10)
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	if r, err := worker.Get(ctx, "rp.s.job.1"); err != nil || r.Seq != seq {
		t.Fatal(r, err)
	}
	// A group, so that it goes as a batch.
	ws := []Write{{Subject: "rp.s.job.1", Data: []byte("COMPLETE"), Expect: seq}}
	for i := range 20 {
		ws = append(ws, Write{Subject: "rp.s.job." + itoa(i+2), Data: []byte("x")})
	}
	_, errs := worker.WriteAll(ctx, ws)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if err := ds[0].Extend(); err != nil {
		t.Fatal(err)
	}
	if err := ds[0].Ack(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the queue is empty", func() bool {
		n, err := server.Queued(ctx, "q")
		return err == nil && n == 0
	})
	for _, size := range []int{10, 3 * smallObject} {
		name := "o" + itoa(size)
		if _, err := worker.Objects().Put(ctx, name, random(size)); err != nil {
			t.Fatal(err)
		}
		same(t, server, name, size)
		same(t, worker, name, size)
		if err := worker.Objects().Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := worker.Log(ctx, "job", 1, []byte("line")); err != nil {
		t.Fatal(err)
	}
	if err := worker.FlushLog(ctx); err != nil {
		t.Fatal(err)
	}
	if err := worker.Announce(ctx, "worker.w", []byte("here"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if here, err := server.Present(ctx, "worker."); err != nil || string(here["worker.w"]) != "here" {
		t.Error(here, err)
	}
	stop, err := worker.Serve("rp.m.w", func(b []byte) []byte { return append([]byte("pong "), b...) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if answer, err := server.Request(ctx, "rp.m.w", []byte("x")); err != nil || string(answer) != "pong x" {
		t.Errorf("answer %q, %v", answer, err)
	}
	if err := worker.Withdrawn(ctx, "worker.w"); err != nil {
		t.Fatal(err)
	}
}

// TestWorkersMayDoNoMore: what the role of workers must not do is refused by the server.
func TestWorkersMayDoNoMore(t *testing.T) {
	server, worker, _ := joined(t)
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	if _, err := server.Write(t.Context(), Write{Subject: "rp.q.default", Data: []byte("mine")}); err != nil {
		t.Fatal(err)
	}
	tries := map[string]func() error{
		"change a queue": func() error {
			_, err := worker.Write(short(), Write{Subject: "rp.q.default", Data: []byte("his"), Any: true})
			return err
		},
		"lead": func() error {
			return worker.Lead(short(), "chores", func(context.Context) error { return nil })
		},
		"drop a stream":   func() error { return worker.js.DeleteStream(short(), recordStream) },
		"purge records":   func() error { return worker.purge(short(), recordStream, "rp.s.>") },
		"delete a record": func() error { return worker.remove(short(), recordStream, 1) },
		"listen to answers": func() error {
			sub, err := worker.nc.SubscribeSync("_INBOX.>")
			if err != nil {
				return err
			}
			if _, err := server.Get(t.Context(), "rp.q.default"); err != nil {
				t.Error(err)
			}
			_, err = sub.NextMsg(300 * time.Millisecond)
			return err
		},
	}
	for name, try := range tries {
		if err := try(); err == nil {
			t.Errorf("a worker can %s", name)
		}
	}
	if r, err := server.Get(t.Context(), "rp.q.default"); err != nil || string(r.Data) != "mine" {
		t.Errorf("the queue's record is %q, %v", r.Data, err)
	}
}

func TestStrangersAreKeptOut(t *testing.T) {
	server, _, cluster := joined(t)
	other, err := OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stranger := other.Join(false, server.URL())
	mixed := cluster.Join(false, server.URL())
	mixed.Seed = stranger.Seed
	renamed := cluster.Join(false, server.URL())
	renamed.Cluster = "0123456789abcdef"
	cases := map[string]struct {
		j    *Join
		want string
	}{
		"another cluster's server":     {stranger, "certificate"},
		"another cluster's key":        {mixed, "uthorization"},
		"a cluster of the same server": {renamed, "certificate"},
	}
	for name, c := range cases {
		b, err := Open(t.Context(), Options{Join: c.j})
		if err == nil {
			b.Close()
			t.Errorf("%s: let in", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if nc, err := nats.Connect(strings.Replace(server.URL(), "tls://", "nats://", 1), nats.Secure(nil)); err == nil {
		nc.Close()
		t.Error("without TLS and key: let in")
	}
}

func TestClusterFiles(t *testing.T) {
	dir := t.TempDir()
	c, err := OpenCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenCluster(dir)
	if err != nil || again.ID != c.ID || again.public[roleWorker] != c.public[roleWorker] {
		t.Errorf("opened again: %v, %v", again, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "nats", "*"))
	if err != nil || len(files) != 7 {
		t.Errorf("files %q, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	if block, _ := pem.Decode(c.Join(false, "tls://x:1").CA); block == nil {
		t.Error("the join has no CA")
	}
	text := c.Join(false, "tls://a:1", "tls://b:2").String()
	for name, s := range map[string]string{"text": text, "file": file(t, "join", []byte(text+"\n"))} {
		if j, err := ParseJoin(s); err != nil || j.Cluster != c.ID || len(j.URLs) != 2 {
			t.Errorf("join from %s: %+v, %v", name, j, err)
		}
	}
	for _, s := range []string{"", "nothing", joinPrefix, text[:len(text)-30], joinPrefix + "e30", file(t, "empty", nil)} {
		if j, err := ParseJoin(s); err == nil {
			t.Errorf("ParseJoin(%q) gave %+v", s, j)
		}
	}
}
