package sinks

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// moveNew renames without replacing: a file that is there already is an error
// with fs.ErrExist in its chain.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return moveByLink(from, to) // a file system that does not know the flag
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
