package sinks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func (d *directory) checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	local := filepath.FromSlash(dir)
	if !filepath.IsLocal(local) {
		return &Error{Op: "create directory", Path: d.shown, Err: errors.New(dir + " is outside of it")}
	}
	at := d.dir
	for name := range strings.SplitSeq(dir, "/") {
		at = filepath.Join(at, name)
		st, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			// The file system tells of a name that is too long for it also where the
			// directory above is not there yet, if it is asked at a place that is.
			_, err = os.Lstat(filepath.Join(d.dir, name))
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return failed("create directory "+dir+" in", d.shown, err)
		case st != nil && !st.IsDir():
			return &Error{
				Op: "create directory " + dir + " in", Path: d.shown,
				Err:  errors.New(at + " is a file"),
				Hint: "move it away, or set another path",
			}
		}
	}
	return nil
}

// makeDirs makes the directories of parts' partitions.
func (d *directory) makeDirs(parts []Part) error {
	for _, p := range parts {
		dir := dirOf(p.Path)
		if dir == "" || d.dirs[dir] {
			continue
		}
		d.dirs[dir] = true
		if err := os.MkdirAll(d.abs(dir), 0o755); err != nil {
			return failed("create directory "+dir+" in", d.shown, err)
		}
	}
	return nil
}

// prune removes a partition's directory, and those above it, where they are empty.
func (d *directory) prune(dir string) {
	for ; dir != ""; dir = dirOf(dir) {
		if os.Remove(d.abs(dir)) != nil {
			return
		}
	}
}
