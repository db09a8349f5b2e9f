package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// The locked byte lies beyond any text that others must be able to read.
const offset = 1 << 20

// Take takes the lock of f or fails at once, with ErrBusy.
func Take(f *os.File) error { return lock(f, windows.LOCKFILE_EXCLUSIVE_LOCK) }

// Share takes the lock of f together with others that share it, or fails at once,
// with ErrBusy.
func Share(f *os.File) error { return lock(f, 0) }

func lock(f *os.File, how uint32) error {
	at := windows.Overlapped{Offset: offset}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrBusy
	}
	return err
}
