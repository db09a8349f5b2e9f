// Package durable has names in directories outlive a power failure: a file that was
// written, synced and renamed may be gone after one, though its content is not.
package durable

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// SyncDir forces the names in a directory to stable storage. Some file systems have
// nothing to force and say so, which is no error; Windows cannot, and NTFS keeps a journal
// of names.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
