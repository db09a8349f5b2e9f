package compact

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/frame/partition"
)

// salvage moves what is somebody else's out of a directory that a compaction,
// run, has left beside dir, and into dir. Only one that was exchanged has such:
// files that came while it was exchanged, where the process died before it had
// adopted them. It has the manifest of before; that of one which was still being
// built is of the compaction itself.
func salvage(left, dir, run string) error {
	b, err := os.ReadFile(filepath.Join(left, partition.Manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var m struct {
		manifest
		Replaces []string `json:"replaces"`
		Retired  []struct {
			Path string `json:"path"`
		} `json:"retired"`
	}
	if json.Unmarshal(b, &m) != nil || m.Run == run {
		return nil
	}
	ours := map[string]bool{partition.Manifest: true, lockName: true}
	for _, f := range m.Files {
		ours[f.Path] = true
	}
	for _, path := range m.Replaces {
		ours[path] = true
	}
	for _, f := range m.Retired {
		ours[f.Path] = true
	}
	return filepath.WalkDir(left, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(left, path)
		if err != nil || ours[filepath.ToSlash(rel)] {
			return err
		}
		return bring(path, filepath.Join(dir, rel), e)
	})
}

// bring moves a file to where it is not, or is older.
func bring(path, target string, e fs.DirEntry) error {
	here, err := e.Info()
	if err != nil {
		return err
	}
	there, err := os.Lstat(target)
	switch {
	case err == nil && !here.ModTime().After(there.ModTime()): // the same one mostly, carried before
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.Rename(path, target)
}
