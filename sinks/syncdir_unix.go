//go:build unix

package sinks

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncDir forces the names in a directory to stable storage: without it a
// rename may be lost in a power cut though the file's content is not.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
