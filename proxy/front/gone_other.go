//go:build !linux

package front

import "syscall"

// hungUp is known to Linux alone; elsewhere net/http finds out, except for clients
// that send a request while another is worked on.
func hungUp(syscall.Conn) bool { return false }
