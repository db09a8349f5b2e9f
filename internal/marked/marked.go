// Package marked finds the processes of one program under test, and what they take: a
// variable in the environment that no other process has marks them, whoever their
// parent is.
package marked

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

// Process is one of those that a program has started.
type Process struct {
	Pid, Group int
	Name       string
}

// Forks reports whether p is a template, or its standby: by the directory of the
// FIFO that it reads.
func (p Process) Forks() bool {
	fds, _ := filepath.Glob("/proc/" + strconv.Itoa(p.Pid) + "/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && filepath.Base(to) == "in" {
			return !strings.HasPrefix(filepath.Base(filepath.Dir(to)), "w")
		}
	}
	return false
}

// With are the processes that have mark, name=value, in their environment. They are found
// in /proc: elsewhere than on Linux there are none.
func With(mark string) (found []Process) {
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
		p := Process{Name: string(stat[open+1 : close])}
		p.Pid, _ = strconv.Atoi(filepath.Base(dir))
		p.Group, _ = strconv.Atoi(fields[2])
		found = append(found, p)
	}
	return found
}

// Census knows how long each process has been there.
type Census struct {
	Mark string

	mu    sync.Mutex
	first map[int]time.Time
}

// Take is who is there now.
func (c *Census) Take() []Process {
	all := With(c.Mark)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = map[int]time.Time{}
	}
	for _, p := range all {
		if _, known := c.first[p.Pid]; !known {
			c.first[p.Pid] = time.Now()
		}
	}
	return all
}

// Victims are the R processes that may be killed: workers that have served for a
// while, and templates and standbys that have such a worker and one another. One
// that is just starting is not among them: it may be the code of a reload, which
// then would rightly fail.
func (c *Census) Victims() (workers, templates []int) {
	all := c.Take()
	c.mu.Lock()
	defer c.mu.Unlock()
	grown, pairs := map[int]bool{}, map[int][]int{}
	for _, p := range all {
		switch {
		case p.Name != "R" || time.Since(c.first[p.Pid]) < time.Second:
		case p.Forks():
			pairs[p.Group] = append(pairs[p.Group], p.Pid)
		default:
			workers = append(workers, p.Pid)
			grown[p.Group] = true
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

// Sample is what one process takes: bytes resident, and descriptors.
type Sample struct{ RSS, FDs int64 }

// Measure is what a process takes.
func Measure(pid int) (s Sample, err error) {
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
			s.RSS = kb << 10
		}
	}
	fds, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	s.FDs = int64(len(fds))
	return s, err
}

// Middle is the median of one figure of samples.
func Middle(all []Sample, of func(Sample) int64) int64 {
	v := make([]int64, len(all))
	for i, s := range all {
		v[i] = of(s)
	}
	slices.Sort(v)
	return v[len(v)/2]
}
