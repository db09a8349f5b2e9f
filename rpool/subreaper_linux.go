package rpool

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes this process the parent of descendants whose own parent
// has ended, such as forked workers, so that their exit statuses come here. It
// holds for the rest of the process's life.
var becomeSubreaper = sync.OnceValue(func() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
})

// reapStrangers reaps children of ours that have ended and that nobody else
// waits for: programs that a user's R code put into a session or group of their
// own and that came to us when their parent ended. A child that os/exec started
// is told by the pidfd that Go holds for it until Wait; where the kernel has
// none, nothing is reaped.
func reapStrangers() {
	owned, ok := pidfds()
	if !ok {
		return
	}
	for _, pid := range children() {
		if owned[pid] {
			continue
		}
		if pgid, zombie := ended(pid); zombie && !groups.has(pgid) {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// pidfds are the processes that this process holds a pidfd of.
func pidfds() (map[int]bool, bool) {
	if !havePidfd() {
		return nil, false
	}
	owned := make(map[int]bool)
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		return nil, false
	}
	for _, name := range infos {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(b) {
			if rest, ok := bytes.CutPrefix(line, []byte("Pid:")); ok {
				if pid, err := strconv.Atoi(string(bytes.TrimSpace(rest))); err == nil {
					owned[pid] = true
				}
			}
		}
	}
	return owned, true
}

var havePidfd = sync.OnceValue(func() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
})

func children() []int {
	var pids []int
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range lists {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		words := bufio.NewScanner(bytes.NewReader(b))
		words.Split(bufio.ScanWords)
		for words.Scan() {
			if pid, err := strconv.Atoi(words.Text()); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// ended reads a process's group and whether it is a zombie.
func ended(pid int) (pgid int, zombie bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// pid (name) state ppid pgrp …, and the name may hold anything.
	_, rest, _ := strings.Cut(string(b[max(0, bytes.LastIndexByte(b, ')')):]), " ")
	f := strings.Fields(rest)
	if len(f) < 3 {
		return 0, false
	}
	pgid, _ = strconv.Atoi(f[2])
	return pgid, f[0] == "Z"
}

// onlyZombies reports whether every member of a group has ended.
func onlyZombies(pgid int) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if group, zombie := ended(pid); group == pgid && !zombie {
				return false
			}
		}
	}
	return true
}
