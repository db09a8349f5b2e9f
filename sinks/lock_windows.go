package sinks

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// The locked byte lies beyond the text, which others must be able to read.
const lockOffset = 1 << 20

func lockFile(f *os.File) error {
	at := windows.Overlapped{Offset: lockOffset}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errBusy
	}
	return err
}

// removeLocked closes first: Windows does not remove an open file.
func removeLocked(f *os.File, path string) {
	f.Close()
	os.Remove(path)
}
