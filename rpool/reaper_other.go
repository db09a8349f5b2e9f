//go:build unix && !linux

package rpool

import (
	"iter"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// waitMember returns when it is worth looking at the group. There is no
// subreaper here: only the leader is our child, and a worker that was forked is
// known to be gone when the process table no longer has it, its status is not.
func waitMember(pgid int) error {
	for g := range groups.each() {
		if g.pgid == pgid {
			g.missing()
		}
	}
	if unix.Kill(-pgid, 0) == unix.ESRCH {
		return unix.ECHILD
	}
	time.Sleep(20 * time.Millisecond)
	return nil
}

// each yields the groups there are now.
func (s *groupSet) each() iter.Seq[*group] {
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.list))
	s.mu.Unlock()
	return slices.Values(list)
}

// missing ends the watch of members that are neither our children nor there.
func (g *group) missing() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for pid, e := range g.exits {
		if pid != g.pgid && !isClosed(e.done) && unix.Kill(pid, 0) == unix.ESRCH {
			close(e.done)
		}
	}
}
