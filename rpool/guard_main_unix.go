//go:build unix

package rpool

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guardEnv marks a process as the guard; its value is guardProtocol.
const (
	guardEnv      = "RPIPE_GUARD"
	guardProtocol = "1"
	guardReady    = "rpipe guard " + guardProtocol + "\n"
)

// GuardMain turns this process into the guard if that is what it was started
// for, and does not return then; otherwise it does nothing. A program that uses
// a Pool must call it first thing in main, and a test binary in TestMain: the
// pool starts its own executable again as a small process, with the argument
// __guard, which holds a pipe from the pool and, when the pool's process has
// gone in whatever way, kills the R processes and removes the directories that
// it left behind. A worker that computes does not read, so it would not notice.
func GuardMain() {
	if os.Getenv(guardEnv) != guardProtocol || len(os.Args) < 2 || os.Args[1] != "__guard" {
		return
	}
	// The signals of a terminal or a supervisor are for the pool's process; the
	// guard goes when that one has gone.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	if _, err := io.WriteString(os.Stdout, guardReady); err != nil {
		os.Exit(1)
	}
	w := ward{groups: make(map[int]bool), dirs: make(map[string]bool)}
	w.follow(os.Stdin)
	w.sweep()
	os.Exit(0)
}

// ward is what the guard would have to clear away.
type ward struct {
	groups map[int]bool
	dirs   map[string]bool
}

// follow reads the pool's lines until it is gone: "+g 123" and "-g 123" for a
// process group, "+d "/path"" and "-d "/path"" for a directory, quoted as in Go.
func (w *ward) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		verb, what, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "+g", "-g":
			if pgid, err := strconv.Atoi(what); err == nil && pgid > 1 {
				w.groups[pgid] = verb == "+g"
			}
		case "+d", "-d":
			if dir, err := strconv.Unquote(what); err == nil && dir != "" {
				w.dirs[dir] = verb == "+d"
			}
		}
	}
}

// sweep kills and removes all there is. Killed processes are reaped by init.
func (w *ward) sweep() {
	deadline := time.Now().Add(10 * time.Second)
	for left := true; left && time.Now().Before(deadline); {
		left = false
		for pgid, there := range w.groups {
			if there && alive(pgid) {
				left = true
			}
		}
		if left {
			time.Sleep(20 * time.Millisecond)
		}
	}
	for dir, there := range w.dirs {
		if there {
			if err := os.RemoveAll(dir); err != nil {
				fmt.Fprintln(os.Stderr, "rpipe guard:", err)
			}
		}
	}
}

// alive kills a group and reports whether it has members left. Those that wait
// for their parent to notice their end, which may take for ever in a container
// without an init, do not count.
func alive(pgid int) bool {
	return unix.Kill(-pgid, unix.SIGKILL) != unix.ESRCH && !onlyZombies(pgid)
}
