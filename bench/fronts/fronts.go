//go:build unix

// Package fronts starts what can serve a plumber API, for benchmarks: rpipe, its
// peers, proxies in front of R processes, and plumber alone; and asks them with
// one and the same load.
//
// Every program is one that a user has, with a command line or configuration as
// its own documentation shows them. What is not installed is a
// *bench.MissingError, and its side is left out.
package fronts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
)

// Server is a program that serves an API.
type Server struct {
	Addr string

	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when the process has ended
	also  []*Server     // R processes behind a proxy, which end with it
}

// patience is how long a server may take until it answers, and to end.
const patience = 60 * time.Second

// launch starts a program in a directory, without waiting for it.
func launch(addr, dir, program string, args ...string) (*Server, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, &bench.MissingError{What: program}
	}
	log, err := os.CreateTemp(dir, filepath.Base(program)+"-*.log")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: addr, log: log, ended: make(chan struct{}), cmd: exec.Command(path, args...)}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, log, log
	s.cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours to pass on
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	running.add(s)
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// Ready waits until a path is answered with 200.
func (s *Server) Ready(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.Addr+path, nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s has ended: %s", s.cmd, s.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer GET %s after %v: %s", s.cmd, path, patience, s.said())
		case <-time.After(time.Millisecond):
		}
	}
}

// said is the end of what the program printed.
func (s *Server) said() string {
	text, _ := os.ReadFile(s.log.Name())
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// Close ends the program and every process that it has started.
func (s *Server) Close() {
	left := family(s.cmd.Process.Pid)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
	}
	kill(left) // some peers leave theirs behind
	<-s.ended
	s.log.Close()
	running.remove(s)
	for _, r := range s.also {
		r.Close()
	}
}

// Pids are the processes of the server.
func (s *Server) Pids() []int {
	pids := family(s.cmd.Process.Pid)
	for _, r := range s.also {
		pids = append(pids, r.Pids()...)
	}
	return pids
}

// family is a process and all its descendants.
func family(pid int) []int {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return []int{pid}
	}
	children := map[int][]int{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 {
			child, _ := strconv.Atoi(f[0])
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

func kill(pids []int) {
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// free is an address that nobody listens on. plumber 1.3 takes ports from 1024
// to 49151 only, so the system's choice will not do.
func free() (string, error) {
	for port := 20000 + os.Getpid()%10000; port < 49151; port += 7 {
		addr := "127.0.0.1:" + strconv.Itoa(port)
		if taken.LoadAndStore(addr) {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no port is free")
}
