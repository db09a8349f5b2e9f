package rpool

import "golang.org/x/sys/unix"

// waitMember waits until a member of the group that is our child has ended, and
// leaves it for collect. ECHILD says that no member is our child.
func waitMember(pgid int) error {
	return unix.Waitid(unix.P_PGID, pgid, nil, unix.WEXITED|unix.WNOWAIT, nil)
}
