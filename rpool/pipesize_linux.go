package rpool

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlarge gives a FIFO a larger buffer while the budget lasts, and returns what
// it took from the budget. A FIFO keeps its size until all ends are closed.
func (b *pipeBudget) enlarge(f *os.File) int {
	if !b.take() {
		return 0
	}
	raw, err := f.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) {
			_, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
		})
	}
	if err != nil {
		b.giveBack(pipeSize)
		return 0
	}
	return pipeSize
}
