package sinks

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// checkDir finds out, before rows are gathered for it, that a partition's
// directory cannot be made.
func (o *output) checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	local := filepath.FromSlash(dir)
	if !filepath.IsLocal(local) {
		return &Error{Op: "create directory", Path: o.shown, Err: errors.New(dir + " is outside of it")}
	}
	at := o.dir
	for name := range strings.SplitSeq(dir, "/") {
		at = filepath.Join(at, name)
		st, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			// The file system tells of a name that is too long for it also where the
			// directory above is not there yet, if it is asked at a place that is.
			_, err = os.Lstat(filepath.Join(o.dir, name))
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return failed("create directory "+dir+" in", o.shown, err)
		case st != nil && !st.IsDir():
			return &Error{
				Op: "create directory " + dir + " in", Path: o.shown,
				Err:  errors.New(at + " is a file"),
				Hint: "move it away, or set another path",
			}
		}
	}
	return nil
}

// makeDirs makes the directories of parts' partitions.
func (o *output) makeDirs(parts []Part) error {
	for _, p := range parts {
		dir := dirOf(p.Path)
		if dir == "" || o.dirs[dir] {
			continue
		}
		o.dirs[dir] = true
		if err := os.MkdirAll(o.abs(dir), 0o755); err != nil {
			return failed("create directory "+dir+" in", o.shown, err)
		}
	}
	return nil
}

// pruneAll removes what makeDirs made and nobody used.
func (o *output) pruneAll() {
	for dir := range maps.Keys(o.dirs) {
		o.prune(dir)
	}
}

// prune removes a partition's directory, and those above it, where they are empty.
func (o *output) prune(dir string) {
	for ; dir != ""; dir = dirOf(dir) {
		if os.Remove(o.abs(dir)) != nil {
			return
		}
	}
}
