//go:build unix

package sinks

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes an exclusive flock. Some network file systems have none.
func lockFile(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return errBusy
		case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS):
			return errNoLocks
		}
		return err
	}
}

// removeLocked unlinks first: whoever locks the file after we let go sees that
// it is not the one in the directory any more.
func removeLocked(f *os.File, path string) {
	os.Remove(path)
	f.Close()
}
