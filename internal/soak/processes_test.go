//go:build linux

package soak

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is one of those that a proxy has started.
type process struct {
	pid, group int
	name       string
}

// forks reports whether p is a template, or its standby: by the directory of the
// FIFO that it reads.
func (p process) forks() bool {
	fds, _ := filepath.Glob("/proc/" + strconv.Itoa(p.pid) + "/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && filepath.Base(to) == "in" {
			return !strings.HasPrefix(filepath.Base(filepath.Dir(to)), "w")
		}
	}
	return false
}

// markedWith are the processes whose environment has a variable set to a value
// that no other process has: those of one proxy, whoever their parent is.
func markedWith(mark string) (found []process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !slices.ContainsFunc(bytes.Split(env, []byte{0}), func(v []byte) bool { return string(v) == mark }) {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		// pid (name) state ppid pgrp …: the name may have anything in it.
		open, close := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		fields := strings.Fields(string(stat[close+1:]))
		if fields[0] == "Z" {
			continue
		}
		p := process{name: string(stat[open+1 : close])}
		p.pid, _ = strconv.Atoi(filepath.Base(dir))
		p.group, _ = strconv.Atoi(fields[2])
		found = append(found, p)
	}
	return found
}

// census knows how long each process has been there.
type census struct {
	mark string

	mu    sync.Mutex
	first map[int]time.Time
}

func (c *census) take() []process {
	all := markedWith(c.mark)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range all {
		if _, known := c.first[p.pid]; !known {
			c.first[p.pid] = time.Now()
		}
	}
	return all
}

// victims are the R processes that may be killed: workers that have served for a
// while, and templates and standbys that have such a worker and one another. One
// that is just starting is not among them: it may be the code of a reload, which
// then would rightly fail.
func (c *census) victims() (workers, templates []int) {
	all := c.take()
	c.mu.Lock()
	defer c.mu.Unlock()
	grown, pairs := map[int]bool{}, map[int][]int{}
	for _, p := range all {
		switch {
		case p.name != "R" || time.Since(c.first[p.pid]) < time.Second:
		case p.forks():
			pairs[p.group] = append(pairs[p.group], p.pid)
		default:
			workers = append(workers, p.pid)
			grown[p.group] = true
		}
	}
	for group, pair := range pairs {
		if len(pair) == 2 && grown[group] {
			templates = append(templates, pair...)
		}
	}
	slices.Sort(templates)
	return workers, templates
}

// sample is what the proxy's own process takes.
type sample struct{ rss, fds int64 }

func measure(pid int) (s sample, err error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return s, err
			}
			s.rss = kb << 10
		}
	}
	fds, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	s.fds = int64(len(fds))
	return s, err
}

// middle is the median of one figure of samples.
func middle(all []sample, of func(sample) int64) int64 {
	v := make([]int64, len(all))
	for i, s := range all {
		v[i] = of(s)
	}
	slices.Sort(v)
	return v[len(v)/2]
}
