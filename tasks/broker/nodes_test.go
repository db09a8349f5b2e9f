package broker

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// nodes is a cluster of three servers on loopback.
type nodes struct {
	t    testing.TB
	as   [3]helper
	runs [3]*exec.Cmd
	urls []string
}

func startNodes(t testing.TB) *nodes {
	c := &nodes{t: t}
	ports := freePorts(t, 6)
	var routes []string
	for i := range c.as {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
		c.urls = append(c.urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range c.as {
		c.as[i] = helper{Dir: filepath.Join(dir, strconv.Itoa(i)), Node: fmt.Sprintf("n%d", i), Port: ports[i], ClusterOn: ports[3+i], Routes: strings.Join(routes, ",")}
		wg.Go(func() { c.start(i) })
	}
	wg.Wait()
	return c
}

func (c *nodes) start(i int) { c.runs[i] = spawn(c.t, c.as[i], func(string) {}) }
func (c *nodes) kill(i int)  { kill(c.runs[i]) }

// open has a broker on the cluster, as soon as that has a leader.
func (c *nodes) open() *Broker {
	c.t.Helper()
	var b *Broker
	eventually(c.t, "the cluster takes streams", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
		defer cancel()
		var err error
		b, err = Open(ctx, Options{URLs: c.urls, Name: "test", AckWait: 5 * time.Second, Log: logger(c.t)})
		if err != nil {
			c.t.Log(err)
		}
		return err == nil
	})
	c.t.Cleanup(func() { b.Close() })
	return b
}

// leader is the number of the node that leads the stream of records.
func (c *nodes) leader(b *Broker) int {
	c.t.Helper()
	leader := -1
	eventually(c.t, "the records have a leader", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
		defer cancel()
		s, err := b.Status(ctx)
		if err != nil || len(s.Streams) == 0 || s.Streams[0].Leader == "" {
			return false
		}
		leader = int(s.Streams[0].Leader[1] - '0')
		return true
	})
	return leader
}

// TestClusterOutlivesItsNodes: with three copies a killed node, the leader or another
// one, costs time and nothing else.
func TestClusterOutlivesItsNodes(t *testing.T) { nodeKills(t, 1, 300) }

// nodeKills runs n tasks through the cluster, as a worker does: claim the record, write
// the result, acknowledge; and kills a node for each share of them.
func nodeKills(t *testing.T, times, n int) {
	c := startNodes(t)
	b := c.open()
	if b.replicas != 3 {
		t.Fatalf("%d replicas", b.replicas)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	start := time.Now()
	for first := 0; first < n; first += 500 {
		var ws []Write
		var work []Work
		for i := first; i < min(n, first+500); i++ {
			w := Work{"q", tasks.Normal, "job", i + 1}
			work = append(work, w)
			ws = append(ws, Write{Subject: tasks.TaskSubject("job", w.N), Data: []byte("PENDING")})
		}
		_, errs := b.WriteAll(ctx, ws)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if err := b.Push(ctx, work); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d tasks submitted in %s", n, time.Since(start))

	var done, fenced, attempts atomic.Int64
	var ended sync.Map
	var wg sync.WaitGroup
	working, stop := context.WithCancel(ctx)
	defer wg.Wait()
	defer stop()
	for w := range 3 {
		l := lanesOf(t, b, "q")
		wg.Go(func() {
			for {
				ds, err := l.Next(working, 20)
				if err != nil {
					return
				}
				attempts.Add(int64(len(ds)))
				for _, d := range ds {
					// Which attempt this is stands in the record, as in the real ones.
					if !runOne(working, t, b, d, fmt.Sprintf("w%d-%d", w, attempts.Load())) {
						fenced.Add(1)
						continue
					}
					if _, twice := ended.LoadOrStore(d.N, true); twice {
						t.Errorf("task %d was completed twice", d.N)
					}
					done.Add(1)
				}
			}
		})
	}
	for k := range times {
		goal := int64(n * (k + 1) / (times + 2))
		eventually(t, fmt.Sprintf("%d tasks are done", goal), func() bool { return done.Load() >= goal })
		victim := c.leader(b)
		if k%3 == 2 {
			victim = (victim + 1) % 3
		}
		c.kill(victim)
		at, before := time.Now(), done.Load()
		eventually(t, "tasks go on", func() bool {
			if done.Load() > before+20 {
				return true
			}
			left, err := b.Queued(ctx, "q") // it may have been quick, while the last node came back
			return err == nil && left == 0
		})
		t.Logf("kill of n%d after %d tasks: it goes on after %s", victim, before, time.Since(at))
		c.start(victim)
		if times > 1 { // the next one must find all copies up to date
			eventually(t, "the node is back", func() bool {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				s, err := b.Status(ctx)
				for _, st := range s.Streams {
					if err != nil || st.Leader == "" || len(st.Lagging) > 0 {
						return false
					}
				}
				return err == nil
			})
		}
	}
	eventually(t, "all are done", func() bool {
		complete := 0
		err := b.Range(ctx, "rp.s.job.*", func(r Record) error {
			if strings.HasPrefix(string(r.Data), "COMPLETE") {
				complete++
			}
			return nil
		})
		return err == nil && complete == n
	})
	t.Logf("%d tasks complete in %s, %d deliveries, %d fenced", n, time.Since(start), attempts.Load(), fenced.Load())
}

// runOne does one task, and reports whether its result went into the record.
func runOne(ctx context.Context, t *testing.T, b *Broker, d *Delivery, nonce string) bool {
	subject := tasks.TaskSubject(d.Job, d.N)
	r, err := b.Get(ctx, subject)
	if err != nil {
		return false // it comes again
	}
	if strings.HasPrefix(string(r.Data), "COMPLETE") {
		d.Ack() //nolint:errcheck // it comes again
		return false
	}
	seq, err := b.Write(ctx, Write{Subject: subject, Data: []byte("RUNNING " + nonce), Expect: r.Seq})
	if err != nil {
		return false
	}
	_, err = b.Write(ctx, Write{Subject: subject, Data: []byte("COMPLETE " + nonce), Expect: seq})
	if err != nil && !errors.Is(err, ErrConflict) && ctx.Err() == nil {
		t.Errorf("task %d: %v", d.N, err)
	}
	if err == nil {
		d.Ack() //nolint:errcheck // it comes again
	}
	return err == nil
}
