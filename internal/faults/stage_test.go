//go:build unix

// Package faults repeats for rpipe what was done to other task queues: processes are
// killed, paused and cut off while tasks run. Each case is a row of docs/faults.md.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/program"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func TestMain(m *testing.M) { program.Main(m) }

// lease is how long a lost worker keeps its tasks here.
const lease = 3 * time.Second

// stage is a server, workers and what is done to them.
type stage struct {
	t    *testing.T
	dir  string
	env  []string
	c    *client.Client
	main *process
}

// process is one of rpipe's.
type process struct {
	cmd   *exec.Cmd
	log   *lines
	ended chan struct{}
}

// lines keeps what a process logs.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve starts a server; config is more of its rpipe.yaml.
func serve(t *testing.T, config string) *stage {
	t.Helper()
	t.Parallel()
	return open(t, config)
}

// open is serve of a test that is not parallel to others.
func open(t *testing.T, config string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	text := fmt.Sprintf("listen: 127.0.0.1:0\ndata: data\nnats: {lease: %s, listen: '127.0.0.1:0'}\ngrace: 5s\n%s", lease, config)
	if err := os.WriteFile(filepath.Join(s.dir, "rpipe.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "HOME="+s.dir, "XDG_STATE_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "TMPDIR="+s.dir)
	s.start()
	return s
}

// start brings the server up, again where it was before.
func (s *stage) start() {
	s.t.Helper()
	s.main = s.run("serve", "rpipe.yaml", "--join", "join")
	url := s.logged(s.main, regexp.MustCompile(`msg=serving url=(\S+)`))
	c, err := client.New(client.Options{URL: url, Retries: 20})
	if err != nil {
		s.t.Fatal(err)
	}
	s.c = c
}

// worker starts another worker.
func (s *stage) worker(args ...string) *process {
	s.t.Helper()
	p := s.run(append([]string{"worker", "--join", "join", "--grace", "2s"}, args...)...)
	s.logged(p, regexp.MustCompile(`msg=working worker=(\S+)`))
	return p
}

func (s *stage) run(args ...string) *process {
	s.t.Helper()
	p := &process{cmd: exec.Command(program.Path, args...), log: new(lines), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = s.dir, s.env, p.log
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = p.cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(time.Minute):
			_ = p.cmd.Process.Kill()
			<-p.ended
			s.t.Errorf("rpipe %s did not end within a minute:\n%s", args[0], p.log)
		}
		if s.t.Failed() {
			s.t.Logf("rpipe %s:\n%s", strings.Join(args, " "), p.log)
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (s *stage) logged(p *process, pattern *regexp.Regexp) string {
	s.t.Helper()
	var found []string
	s.until("the log says "+pattern.String(), func() bool {
		select {
		case <-p.ended:
			s.t.Fatalf("ended before it was up:\n%s", p.log)
		default:
		}
		found = pattern.FindStringSubmatch(p.log.String())
		return found != nil
	})
	return strings.Trim(found[1], `"`)
}

// until waits for what other processes do.
func (s *stage) until(what string, done func() bool) {
	s.t.Helper()
	for began := time.Now(); !done(); {
		if time.Since(began) > 2*time.Minute {
			s.t.Fatalf("not within two minutes: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// submit submits a function over 1:n, or without elements where n is 0.
func (s *stage) submit(fun string, n int, change func(*api.Submission)) *api.Job {
	s.t.Helper()
	sub := &api.Submission{Fun: text(fun)}
	if n > 0 {
		elements := make([]int, n)
		for i := range elements {
			elements[i] = i + 1
		}
		b, _ := json.Marshal(elements)
		sub.Over = &api.Value{JSON: b}
	}
	if change != nil {
		change(sub)
	}
	j, err := s.c.Submit(s.t.Context(), sub)
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

func text(code string) *api.Value {
	b, _ := json.Marshal(code)
	return &api.Value{JSON: b}
}

// task is the record of a task now.
func (s *stage) task(id string) *api.Task {
	s.t.Helper()
	t, err := s.c.Task(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// running waits until a task runs, and the file that it touches is there, and is its R process.
func (s *stage) running(id, file string) int {
	s.t.Helper()
	var pid int
	s.until(id+" runs", func() bool {
		b, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(b), &pid)
		return err == nil
	})
	return pid
}

// touch is R code that writes its pid into a file of the stage.
func (s *stage) touch(file string) string {
	path := filepath.Join(s.dir, file)
	return fmt.Sprintf("cat(Sys.getpid(), file = %q); file.rename(%q, %q)", path+".new", path+".new", path)
}

// path is R code for a file of the stage.
func (s *stage) path(file string) string { return fmt.Sprintf("%q", filepath.Join(s.dir, file)) }

// states waits for the end of jobs and is how many of their tasks are in which state.
func (s *stage) states(ids ...string) map[string]int64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	w, err := s.c.Wait(ctx, api.WaitRequest{IDs: ids, Until: "all"})
	if err != nil {
		s.t.Fatalf("wait: %v", err)
	}
	return w.States
}

// complete fails the test unless all n tasks of a job have a value.
func (s *stage) complete(job *api.Job) {
	s.t.Helper()
	if got := s.states(job.ID); got["COMPLETE"] != int64(job.N) {
		s.t.Fatalf("%v, want %d COMPLETE", got, job.N)
	}
}

// value is the value of a task as JSON.
func (s *stage) value(job *api.Job, n int) string {
	s.t.Helper()
	var got string
	err := s.c.Results(s.t.Context(), job.ID, n, 1, func(r *api.Result) error {
		if r.Value == nil {
			return fmt.Errorf("task %s is %s: %+v", r.ID, r.State, r.Failure)
		}
		got = string(r.Value.JSON)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// works makes sure that what is left can run tasks.
func (s *stage) works() {
	s.t.Helper()
	s.complete(s.submit("function(i) i", 4, nil))
}

// cable is a TCP connection through which two processes speak until it is cut: then
// nothing comes through, and nobody is told.
type cable struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	cut      bool
	cond     *sync.Cond
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, to: to}
	c.cond = sync.NewCond(&c.mu)
	t.Cleanup(func() { l.Close(); c.set(false) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go c.pump(in, out)
			go c.pump(out, in)
		}
	}()
	return c
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	c.cut = cut
	c.mu.Unlock()
	c.cond.Broadcast()
}

func (c *cable) pump(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		for c.cut {
			c.cond.Wait()
		}
		c.mu.Unlock()
		if n > 0 {
			if _, e := to.Write(buf[:n]); e != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
