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
		if err := os.Mkdir(e.Temp, 0o700); err != nil {
			return nil, err
		}
		return os.Open(e.Temp)
	})
	if err != nil {
		return "", err
	}
	if made {
		dir := v.(*os.File)
		lockScratch(dir)
		e.OnClose(func() { dir.Close() })
	}
	return e.Temp, nil
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
