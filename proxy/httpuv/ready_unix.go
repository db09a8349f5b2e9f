//go:build unix

package httpuv

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openReady makes the FIFO at path in dir, for the user that dir belongs to. It
// is open for reading and writing, so that neither side waits for the other.
func openReady(path, dir string) (*os.File, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("httpuv: make fifo %s: %w", path, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		if err := os.Chown(path, int(s.Uid), int(s.Gid)); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
}
