//go:build linux

package soak

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/marked"
	"github.com/rpipe-dev/rpipe/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// trial is one proxy, from its start to its end.
type trial struct {
	t      *testing.T
	dir    string // of the API
	tmp    string // the proxy's temporary directory
	addr   string
	mark   string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	census *marked.Census

	version   atomic.Int64 // the newest that an answer came from
	templates atomic.Int64 // and standbys that were killed

	mu    sync.Mutex
	kills []time.Time
	asked map[string]int // by what
	died  int            // answers with 502
}

// start starts a proxy of workers at most and waits until it answers.
func start(t *testing.T, workers int) *trial {
	dir := t.TempDir()
	s := &trial{
		t: t, dir: filepath.Join(dir, "api"), tmp: filepath.Join(dir, "tmp"), addr: program.FreeAddr(t),
		mark: "RPIPE_SOAK=" + rand.Text(), ended: make(chan struct{}), asked: map[string]int{},
	}
	s.census = &marked.Census{Mark: s.mark}
	for _, d := range []string{s.dir, s.tmp} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := newAPI(s.dir); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	access, err := os.Create(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(program.Path, "proxy", "-f", "plumber.R", "-n", fmt.Sprint(workers), "--n-min", "1", "--host", host, "--port", port)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, access, log
	s.cmd.Env = append(os.Environ(), s.mark, "TMPDIR="+s.tmp)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		log.Close()
		access.Close()
		if t.Failed() {
			t.Logf("the end of the proxy's log:\n%s", s.said())
		}
	})
	s.ready()
	return s
}

// ready waits until the proxy answers.
func (s *trial) ready() {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		c := &client{addr: s.addr}
		r, err := http.NewRequest("GET", "http://"+s.addr+"/echo?nonce=ready", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		a, err := c.do(r)
		c.close()
		if err == nil && a.status == 200 {
			return
		}
		select {
		case <-s.ended:
			s.t.Fatalf("the proxy has ended:\n%s", s.said())
		case <-deadline.C:
			s.t.Fatalf("the proxy does not answer: %v\n%s", err, s.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// said is the end of the proxy's log.
func (s *trial) said() string {
	text, _ := os.ReadFile(s.cmd.Stderr.(*os.File).Name())
	lines := slices.Collect(strings.Lines(string(text)))
	return strings.Join(lines[max(0, len(lines)-60):], "")
}

// refused is how often the proxy has said that new code does not work.
func (s *trial) refused() int {
	text, err := os.ReadFile(s.cmd.Stderr.(*os.File).Name())
	if err != nil {
		s.t.Error(err)
	}
	return strings.Count(string(text), "the old code goes on")
}

// stop sends SIGTERM and says how the process ended, and how long that took.
func (s *trial) stop(within time.Duration) (time.Duration, error) {
	begun := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-s.ended:
	case <-time.After(within):
		return 0, fmt.Errorf("the proxy is still there %v after SIGTERM", within)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return 0, fmt.Errorf("exit status %d after SIGTERM", code)
	}
	return time.Since(begun), nil
}

// checkNothingLeft holds that neither a process nor a file of the proxy is left.
func (s *trial) checkNothingLeft() {
	s.t.Helper()
	deadline := time.Now().Add(5 * time.Second) // what is killed takes a moment to be gone
	for {
		left := marked.With(s.mark)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			s.t.Errorf("processes are left: %+v", left)
			for _, p := range left {
				_ = syscall.Kill(p.Pid, syscall.SIGKILL)
			}
			break
		}
		program.Pause(s.t.Context(), 50*time.Millisecond)
	}
	files, err := os.ReadDir(s.tmp)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		s.t.Errorf("a temporary file is left: %s", f.Name())
	}
}
