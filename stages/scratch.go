package stages

import (
	"os"
	"path/filepath"
)

type tempKey struct{}

// TempDir is the run's scratch directory, made at the first call; "" where the
// run has none. It is locked while the run lives: see ClearScratch.
func (e *Env) TempDir() (string, error) {
	if e.Temp == "" {
		return "", nil
	}
	made := false
	v, err := e.Shared(tempKey{}, func() (any, error) {
		made = true
		return lockedDir(e.Temp)
	})
	if err != nil {
		return "", err
	}
	if made {
		e.OnClose(func() { v.(*os.File).Close() })
	}
	return e.Temp, nil
}

// lockedDir makes a directory that is locked from the moment it has its name.
func lockedDir(path string) (*os.File, error) {
	making := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.Mkdir(making, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.Open(making)
	if err == nil {
		lockScratch(dir) // a file system without locks has no ClearScratch either
		if err = os.Rename(making, path); err == nil {
			return dir, nil
		}
		dir.Close()
	}
	os.Remove(making)
	return nil, err
}

// ClearScratch removes the scratch directories of dead processes among those that
// match the pattern: what a kill -9 has left. A live one holds its lock.
func ClearScratch(pattern string) {
	left, _ := filepath.Glob(pattern)
	for _, path := range left {
		dir, err := os.Open(path)
		if err != nil {
			continue // of another user
		}
		if lockScratch(dir) {
			os.RemoveAll(path)
		}
		dir.Close()
	}
}
