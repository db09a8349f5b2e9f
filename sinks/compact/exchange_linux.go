package compact

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// swap exchanges two directories of one file system in one step.
func swap(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// canSwap finds out whether a directory could be exchanged with one beside it:
// the file system must know how, and it must not be a mount point or stand where
// this user may not write.
func canSwap(dir, run string) bool {
	parent := filepath.Dir(dir)
	if mounted(dir, parent) {
		return false
	}
	a, b := filepath.Join(parent, siblings(dir)+run+"-a"), filepath.Join(parent, siblings(dir)+run+"-b")
	defer os.Remove(a)
	defer os.Remove(b)
	return os.Mkdir(a, 0o700) == nil && os.Mkdir(b, 0o700) == nil && swap(a, b) == nil
}

func mounted(dir, parent string) bool {
	a, errA := os.Stat(dir)
	b, errB := os.Stat(parent)
	if errA != nil || errB != nil {
		return true
	}
	return a.Sys().(*syscall.Stat_t).Dev != b.Sys().(*syscall.Stat_t).Dev || os.SameFile(a, b)
}

// keepOwner gives a directory the owner of another, as far as this user may.
func keepOwner(path string, info fs.FileInfo) {
	st := info.Sys().(*syscall.Stat_t)
	_ = os.Chown(path, int(st.Uid), int(st.Gid))
}
