//go:build unix

package rpool

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// group is the process group that one R process of ours leads, with everything
// that descends from it: forked workers, their isolated requests, programs that
// a user's code starts and leaves behind.
//
// One goroutine waits for the group, by wait4(-pgid), and so gets the exact
// exit status of the leader, which is our child, and of every other member,
// which Linux gives to us when its own parent ends (see subreaper_linux.go).
// Waiting for any child instead would steal the statuses that os/exec waits for.
type group struct {
	pgid int

	mu    sync.Mutex
	exits map[int]*exit
	over  bool          // no member is left; pgid may belong to others soon
	gone  chan struct{} // closed when over
}

// exit is the end of one process, seen by the reaper.
type exit struct {
	done   chan struct{}   // closed once reaped
	status unix.WaitStatus // valid after done where reaped
	reaped bool            // false: it is gone, and its status with it
	known  bool            // somebody watches it
}

// maxUnwatched bounds the statuses kept of processes that nobody has asked for:
// a worker that died before Go learned its pid, or a user's background process.
const maxUnwatched = 1000

// newGroup guards and reaps the group of leader, which has just been started.
func newGroup(leader int) (*group, error) {
	if err := theGuard.addGroup(leader); err != nil {
		theGuard.removeGroup(leader)
		unix.Kill(-leader, unix.SIGKILL)
		unix.Wait4(leader, nil, 0, nil)
		return nil, err
	}
	g := &group{pgid: leader, exits: make(map[int]*exit), gone: make(chan struct{})}
	groups.add(g)
	go g.reap()
	return g, nil
}

// watch returns the exit of pid, which may have come already.
func (g *group) watch(pid int) *exit {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entry(pid)
	e.known = true
	if g.over && !isClosed(e.done) {
		close(e.done)
	}
	return e
}

// lost ends the watch of a process that is no more and that somebody else has
// reaped: the process between a template and a fork that died at once.
func (g *group) lost(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.exits[pid]; e != nil && !isClosed(e.done) && unix.Kill(pid, 0) == unix.ESRCH {
		close(e.done)
	}
}

// forget drops the exit of a process that has been reaped.
func (g *group) forget(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.exits, pid)
}

func (g *group) entry(pid int) *exit {
	e := g.exits[pid]
	if e == nil {
		e = &exit{done: make(chan struct{})}
		g.exits[pid] = e
	}
	return e
}

func (g *group) reap() {
	defer close(g.gone)
	pause := time.Millisecond
	for {
		err := waitMember(g.pgid)
		switch {
		case err == unix.EINTR:
		case err == nil:
			pause = time.Millisecond
			g.collect()
		default:
			// No member is our child. Those that are left have a parent that
			// lives, and come to us when it ends.
			if g.finish() {
				groups.remove(g)
				theGuard.removeGroup(g.pgid)
				return
			}
			time.Sleep(pause)
			pause = min(2*pause, 100*time.Millisecond)
		}
	}
}

// collect reaps the members that have ended. It holds the lock between the
// kernel's giving up of a pid and the note of it, so that signal never meets a
// pid that belongs to another process by now.
func (g *group) collect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-g.pgid, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		e := g.entry(pid)
		if isClosed(e.done) { // the pid of an older process has come round
			delete(g.exits, pid)
			e = g.entry(pid)
		}
		e.status, e.reaped = status, true
		close(e.done)
		if len(g.exits) > maxUnwatched {
			g.dropUnwatched()
		}
	}
}

func (g *group) dropUnwatched() {
	for pid, e := range g.exits {
		if !e.known && isClosed(e.done) {
			delete(g.exits, pid)
		}
	}
}

// finish marks the group as over if it has no member, and tells everyone who
// still waits for one of them.
func (g *group) finish() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if unix.Kill(-g.pgid, 0) != unix.ESRCH {
		return false
	}
	g.over = true
	for _, e := range g.exits {
		if !isClosed(e.done) {
			close(e.done)
		}
	}
	return true
}

// signal sends sig to one member that has not been reaped yet.
func (g *group) signal(pid int, sig syscall.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.exits[pid]; g.over || e == nil || isClosed(e.done) {
		return unix.ESRCH
	}
	return unix.Kill(pid, sig)
}

// kill ends every member of the group.
func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		unix.Kill(-g.pgid, unix.SIGKILL)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// groupSet is every group that this process has now. While there is one, a
// patrol looks for strangers.
type groupSet struct {
	mu   sync.Mutex
	list map[*group]struct{}
	stop chan struct{} // ends the patrol
	done chan struct{} // closed when it has ended
}

var groups = groupSet{list: make(map[*group]struct{})}

// patrolEvery is how long a stranger may stay a zombie.
const patrolEvery = 2 * time.Second

func (s *groupSet) add(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[g] = struct{}{}
	if len(s.list) == 1 {
		stop, done := make(chan struct{}), make(chan struct{})
		s.stop, s.done = stop, done
		go patrol(stop, done)
	}
}

func (s *groupSet) remove(g *group) {
	s.mu.Lock()
	delete(s.list, g)
	var done chan struct{}
	if len(s.list) == 0 {
		close(s.stop)
		done = s.done
	}
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

func patrol(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(patrolEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			reapStrangers()
		case <-stop:
			reapStrangers()
			return
		}
	}
}

func (s *groupSet) has(pgid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.list {
		if g.pgid == pgid {
			return true
		}
	}
	return false
}
