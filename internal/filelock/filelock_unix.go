//go:build unix

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Take takes the lock of f or fails at once, with ErrBusy or ErrNone.
func Take(f *os.File) error { return flock(f, unix.LOCK_EX) }

// Share takes the lock of f together with others that share it, or fails at once,
// with ErrBusy or ErrNone. One who has it may Take it, when nobody else has.
func Share(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrBusy
		case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS):
			return ErrNone
		}
		return err
	}
}
