package node

import (
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/internal/filelock"
	"github.com/rpipe-dev/rpipe/internal/tempdir"
)

// scratch is the path of a file of this worker's.
func (n *Node) scratch(name string) string { return filepath.Join(n.o.CacheDir, n.o.ID, name) }

// openScratch makes the directory of this worker's files, with a lock that tells others
// that it is in use, and removes those of workers that were killed.
func (n *Node) openScratch() (err error) {
	if err := os.MkdirAll(n.scratch(""), 0o700); err != nil {
		return err
	}
	if n.lock, err = os.OpenFile(n.scratch(lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	_ = filelock.Take(n.lock) // without locks nobody removes anything
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

func (n *Node) closeScratch() {
	if n.lock != nil {
		_ = n.lock.Close()
	}
	_ = os.RemoveAll(n.scratch(""))
}
