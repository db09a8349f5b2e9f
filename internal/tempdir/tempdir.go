// Package tempdir makes directories for the files of one process, and removes those of
// processes that were killed: who has one holds a lock on a file in it.
package tempdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// Dir is a directory of this process.
type Dir struct {
	Path string
	lock *os.File // nil where the file system has no locks
}

const lockName = ".lock"

// New makes a directory in that of temporary files, whose name begins with prefix, and
// removes others of this prefix that nobody holds any more.
func New(prefix string) (*Dir, error) { return in(os.TempDir(), prefix) }

func in(parent, prefix string) (_ *Dir, err error) {
	sweep(parent, prefix)
	d := &Dir{}
	if d.Path, err = os.MkdirTemp(parent, prefix); err != nil {
		return nil, fmt.Errorf("a directory for temporary files: %w", err)
	}
	if d.lock, err = os.OpenFile(filepath.Join(d.Path, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("a directory for temporary files: %w", err), os.RemoveAll(d.Path))
	}
	_ = filelock.Take(d.lock) // without locks nobody removes anything
	return d, nil
}

// Close removes it.
func (d *Dir) Close() error { return errors.Join(d.lock.Close(), os.RemoveAll(d.Path)) }

// sweep removes what was left by processes that were killed.
func sweep(parent, prefix string) {
	dirs, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if Abandoned(filepath.Join(dir, lockName)) {
			_ = os.RemoveAll(dir) // another user's stays
		}
	}
}

// fresh is how long a lock may be nobody's since it is just being taken.
const fresh = time.Minute

// Abandoned reports whether a lock that somebody has made is nobody's any more.
func Abandoned(lock string) bool {
	f, err := os.OpenFile(lock, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && time.Since(info.ModTime()) > fresh && filelock.Take(f) == nil
}
