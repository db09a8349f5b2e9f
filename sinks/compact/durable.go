package compact

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// writeSynced writes a file in place of another and forces it to disk.
func writeSynced(path string, b []byte) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Rename(temp, path))
}

// syncTree forces the names in all directories below dir, and its own, to disk.
func syncTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return durable.SyncDir(path)
	})
	return errors.Join(err, durable.SyncDir(filepath.Dir(dir)))
}
