package taskcrash

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var served string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rpipe-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	served = filepath.Join(dir, "served")
	build := exec.Command("go", "build", "-tags", "failpoint", "-o", served, "./served")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return m.Run()
}

// process is one life of the queue.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	dead bool
}

// errDied says that the process has ended before it answered.
var errDied = errors.New("the process has ended")

// start begins a process, to die at a place where that is not "".
func start(t *testing.T, dir, place string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(served, "-dir", dir)}
	p.cmd.Stderr = os.Stderr
	if place != "" {
		p.cmd.Env = append(os.Environ(), "RPIPE_FAILPOINT="+place)
	}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if _, err := p.read(); err != nil && place == "" {
		t.Fatalf("start: %v", err)
	}
	return p
}

func (p *process) read() (a Answer, err error) {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, errDied
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (p *process) ask(r Request) (Answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return Answer{}, errDied
	}
	return p.read()
}

// kill is kill -9.
func (p *process) kill() {
	if p.dead {
		return
	}
	p.dead = true
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	p.cmd.Wait() // says that it was killed
}

// end lets it close what it has open.
func (p *process) end() {
	p.t.Helper()
	p.dead = true
	if err := errors.Join(p.in.Close(), p.cmd.Wait()); err != nil {
		p.t.Errorf("end: %v", err)
	}
}
