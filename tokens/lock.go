package tokens

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// errLocked says that another process has the lock.
var errLocked = errors.New("another process is changing it")

// lock keeps all others, of this process too, from changing the store at path
// until unlock is called. Its file stays: removing it would let two in. It makes
// the directory.
func lock(path string, wait time.Duration) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("write tokens: %w", err)
	}
	f, err := openLock(path)
	if err != nil {
		return nil, fmt.Errorf("write tokens: %w", err)
	}
	// No event tells when a lock is free, and waiting in the kernel has no limit.
	for until := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		err := filelock.Take(f)
		if err == nil || errors.Is(err, filelock.ErrNone) {
			return func() { f.Close() }, nil // which gives the lock back
		}
		if !errors.Is(err, filelock.ErrBusy) || time.Now().After(until) {
			f.Close()
			if errors.Is(err, filelock.ErrBusy) {
				err = errLocked
			}
			return nil, fmt.Errorf("write tokens: lock %s: %w", path, err)
		}
	}
}

// openLock opens the file of the lock. One that root makes belongs to the owner of
// the directory, who locks it too. One that is there stays whose it is: where it is
// a link, root would give away the file behind it.
func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path+".lock", os.O_RDWR, 0)
	}
	if err != nil {
		return nil, err
	}
	giveTo(f, filepath.Dir(path)) // where the file system has owners
	return f, nil
}
