package tokens

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
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
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write tokens: %w", err)
	}
	giveTo(f, filepath.Dir(path)) // others than root lock it too
	// No event tells when a lock is free, and waiting in the kernel has no limit.
	for until := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		err := lockFile(f)
		if err == nil {
			return func() { f.Close() }, nil // which gives the lock back
		}
		if !errors.Is(err, errLocked) || time.Now().After(until) {
			f.Close()
			return nil, fmt.Errorf("write tokens: lock %s: %w", path, err)
		}
	}
}
