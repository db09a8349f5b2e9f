package broker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// helper is what the test binary does when it is started as a process that is to be
// killed.
type helper struct {
	Dir        string
	Durability Durability
	Listen     string // with the cluster in Dir
	Load       int    // writers, which print what was acknowledged
	Node       string // name of a node of a cluster of nats-servers
	Port       int
	ClusterOn  int
	Routes     string
}

const helperEnv = "RPIPE_BROKER_TEST_HELPER"

// spawn starts a helper. Its output is read until it ends, by the reader given.
func spawn(t testing.TB, h helper, read func(line string)) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), helperEnv+"="+string(text))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// It ends with its standard input, so that none outlives a test that is killed.
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		s := bufio.NewScanner(out)
		for s.Scan() {
			if s.Text() == "ready" {
				close(ready)
			} else {
				read(s.Text())
			}
		}
	}()
	t.Cleanup(func() {
		in.Close()
		kill(c)
		<-done
		if staging, err := os.ReadFile(filepath.Join(h.Dir, "store", "staging")); err == nil {
			dropStaging(string(staging))
		}
	})
	select {
	case <-ready:
	case <-done:
		t.Fatal("a helper has ended")
	case <-time.After(time.Minute):
		t.Fatal("a helper is not ready within a minute")
	}
	return c
}

func kill(c *exec.Cmd) {
	if c.ProcessState == nil {
		c.Process.Kill() //nolint:errcheck // it may have ended
		c.Wait()         //nolint:errcheck // it was killed
	}
}

// help is the main function of a helper.
func help(text string) int {
	var h helper
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		panic(err)
	}
	end := make(chan bool)
	go func() {
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is all that counts
		close(end)
	}()
	if h.Node != "" {
		h.node(end)
		return 0
	}
	o := Options{Dir: filepath.Join(h.Dir, "store"), Durability: h.Durability, Listen: h.Listen, Name: "helper"}
	if h.Listen != "" {
		var err error
		if o.Cluster, err = OpenCluster(h.Dir); err != nil {
			panic(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	b, err := Open(ctx, o)
	if err != nil {
		panic(err)
	}
	defer b.Close()
	fmt.Println("ready")
	var wg sync.WaitGroup
	for w := range h.Load {
		wg.Go(func() { load(ctx, b, w) })
	}
	<-end
	return 0
}

// load counts up in ten records of its own, by one or by all of them at a time.
func load(ctx context.Context, b *Broker, w int) {
	var seqs [10]uint64
	var counts [10]int
	subject := func(i int) string { return fmt.Sprintf("rp.s.load%d.%d", w, i) }
	for i := range counts { // goes on where the one before was killed
		if r, err := b.Get(ctx, subject(i)); err == nil {
			seqs[i] = r.Seq
			counts[i], _ = strconv.Atoi(string(r.Data))
		}
	}
	for round := 0; ; round++ {
		var ws []Write
		var which []int
		for i := range counts {
			if round%3 == 0 || i == round%10 {
				counts[i]++
				which = append(which, i)
				ws = append(ws, Write{Subject: subject(i), Data: []byte(strconv.Itoa(counts[i])), Expect: seqs[i]})
			}
		}
		got, errs := b.WriteAll(ctx, ws)
		for k, i := range which {
			if errs[k] != nil {
				panic(errs[k])
			}
			seqs[i] = got[k]
			fmt.Printf("%s %d\n", subject(i), counts[i]) // one write each: lines stay whole
		}
	}
}

// node is a nats-server that is a member of a cluster.
func (h helper) node(end chan bool) {
	s, err := server.NewServer(&server.Options{
		ServerName: h.Node, Host: "127.0.0.1", Port: h.Port, JetStream: true, StoreDir: h.Dir, SyncAlways: true, NoSigs: true, NoLog: true,
		MaxPayload: maxPayload,
		Cluster:    server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: h.ClusterOn},
		Routes:     server.RoutesFromStr(h.Routes),
	})
	if err != nil {
		panic(err)
	}
	go s.Start()
	if !s.ReadyForConnections(time.Minute) {
		panic("not ready")
	}
	fmt.Println("ready")
	<-end
	s.Shutdown()
	s.WaitForShutdown()
}

// freePorts are some that nobody listens on at the moment.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}
