package sinks

import (
	"errors"
	"io/fs"
	"os"
)

// moveByLink is the portable way to rename without replacing: a hard link fails
// where the name is taken. On a file system without links the name is looked up
// first; the directory's lock then keeps other runs of ours out of the gap.
func moveByLink(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}
