package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
	"github.com/rpipe-dev/rpipe/internal/tempdir"
)

// scratch is the path of a file of this worker's.
func (n *Node) scratch(name string) string { return filepath.Join(n.o.CacheDir, n.o.ID, name) }

// openScratch makes the directory of this worker's files, with a lock that tells others
// that it is in use, and removes those of workers that were killed.
func (n *Node) openScratch(ctx context.Context) error {
	if err := n.lockScratch(ctx); err != nil {
		return err
	}
	all, err := os.ReadDir(n.o.CacheDir)
	for _, e := range all {
		if dir := filepath.Join(n.o.CacheDir, e.Name()); e.Name() != n.o.ID && tempdir.Abandoned(filepath.Join(dir, lockName)) {
			n.log.Info("files of a worker that was killed are removed", "dir", dir)
			_ = os.RemoveAll(dir)
		}
	}
	return err
}

const lockName = "lock"

// lockFor is how long a worker of this name may take to end, that has the directory still.
var lockFor = 10 * time.Second // a variable for tests

// lockScratch takes the directory. It may be removed until then, by a worker that ends or
// one that thinks nobody has it.
func (n *Node) lockScratch(ctx context.Context) error {
	for began := time.Now(); ; {
		if err := os.MkdirAll(n.scratch(""), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(n.scratch(lockName), os.O_CREATE|os.O_RDWR, 0o600)
		switch {
		case err == nil:
			if err = filelock.Take(f); err == nil && !isAt(f, n.scratch(lockName)) {
				err = os.ErrNotExist
			}
			if !errors.Is(err, filelock.ErrBusy) && !errors.Is(err, os.ErrNotExist) {
				n.lock = f // without locks nobody removes anything
				return nil
			}
			_ = f.Close()
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		if time.Since(began) > lockFor {
			return fmt.Errorf("another worker has the files in %s: give this one another name, or another directory", n.scratch(""))
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// isAt reports whether f is still the file at path.
func isAt(f *os.File, path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	mine, err := f.Stat()
	return err == nil && os.SameFile(mine, there)
}

// closeScratch removes the directory, where it is this worker's, while it has the lock:
// later it may be the next one's.
func (n *Node) closeScratch() {
	if n.lock == nil {
		return
	}
	err := os.RemoveAll(n.scratch(""))
	_ = n.lock.Close()
	if n.lock = nil; err != nil { // Windows removes nothing that is open
		_ = os.RemoveAll(n.scratch(""))
	}
}
