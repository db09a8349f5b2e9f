//go:build unix

package tokens

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// keepOwner gives a file that is to replace the one at path its owner, group and
// mode: root may make a token in a store that a server of another user reads.
// The first belongs to whom the directory does.
func keepOwner(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return giveTo(f, filepath.Dir(path))
	}
	return errors.Join(giveTo(f, path), f.Chmod(info.Mode().Perm()))
}

// giveTo makes f belong to the owner of what is at path, where we may.
func giveTo(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	err := durable.SyncDir(filepath.Dir(to))
	if errors.Is(err, fs.ErrPermission) {
		return nil // the file is there; that it outlives a power cut is not ours to say
	}
	return err
}
