//go:build unix

package rpool

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostEnv makes the test binary a process with a busy pool, which the test kills.
const hostEnv = "RPIPE_TEST_HOST"

// hostMain launches an environment, has one worker compute, another wait, and a
// third leave a program behind; it says who they all are and waits to be killed.
func hostMain() {
	setup := evalCode
	tpl, err := launch(context.Background(), &Environment{Start: StartFork, Setup: setup}, &Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var workers []process
	for range 3 {
		p, err := tpl.Start(context.Background())
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		workers = append(workers, p)
		fmt.Println("pid", p.Pid())
	}
	fmt.Println("pid", tpl.Pid())
	_, standby := tpl.(*forker).both()
	fmt.Println("pid", standby.pid)
	fmt.Println("pid", theGuard.cmd.Process.Pid)
	fmt.Println("dir", tpl.(*forker).home.dir)
	r, err := workers[2].Do(context.Background(), run(`system("sleep 300 & echo $!")`))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("pid", strings.TrimSpace(r.Output))
	alone := run(`file.create(file.path(dirname(tempdir()), "..", "..", "isolated")); suspendInterrupts(repeat NULL)`)
	alone.Isolate = true
	go workers[2].Do(context.Background(), alone)
	go workers[0].Do(context.Background(), run(`file.create(file.path(dirname(tempdir()), "..", "..", "busy")); suspendInterrupts(repeat NULL)`))
	select {}
}

func TestKillLeavesNothing(t *testing.T) {
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostEnv+"=1")
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	var dir string
	lines := bufio.NewScanner(out)
	for len(pids) < 7 && lines.Scan() {
		what, value, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "pid":
			pid, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		case "dir":
			dir = value
		default:
			t.Fatal(lines.Text())
		}
	}
	if len(pids) != 7 || dir == "" {
		t.Fatalf("the host said pids %v, directory %q", pids, dir)
	}
	eventually(t, "two workers compute", func() bool {
		return exists(filepath.Join(dir, "busy")) && exists(filepath.Join(dir, "isolated"))
	})
	host.Process.Kill()
	host.Wait()
	start := time.Now()
	eventually(t, "all processes and the directory are gone", func() bool {
		for _, pid := range pids {
			if running(pid) {
				return false
			}
		}
		return !exists(dir)
	})
	t.Logf("cleared away after %v", time.Since(start).Round(time.Millisecond))
}

// A guard that somebody kills is replaced with the next thing to guard.
func TestTheGuardIsReplaced(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil)
	theGuard.mu.Lock()
	first := theGuard.cmd.Process.Pid
	theGuard.mu.Unlock()
	unix.Kill(first, unix.SIGKILL)
	eventually(t, "the guard has gone", func() bool { return !running(first) })
	launched(t, &Environment{Start: StartFork}, nil)
	theGuard.mu.Lock()
	defer theGuard.mu.Unlock()
	if second := theGuard.cmd.Process.Pid; second == first || !running(second) {
		t.Errorf("guard %d after %d", second, first)
	}
	if !theGuard.ward.groups[tpl.Pid()] || len(theGuard.ward.dirs) != 2 {
		t.Errorf("it guards %+v", theGuard.ward)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// running reports whether a process is there and not a zombie, which some init
// has yet to reap.
func running(pid int) bool {
	if unix.Kill(pid, 0) == unix.ESRCH {
		return false
	}
	out, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	state := strings.TrimSpace(string(out))
	return state != "" && !strings.HasPrefix(state, "Z")
}

// eventually polls what no signal tells of: the process table and files.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
