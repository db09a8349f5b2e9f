package front

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp asks the kernel whether the peer has closed its side. net/http reads one
// byte ahead to find out: behind a request that came in while another is worked on
// it does not see the end.
func hungUp(c syscall.Conn) (gone bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone
}
