package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// tempPrefix begins the names of files that are not complete.
const tempPrefix = "tmp-"

// temp is a file of the cache's directory that is being written.
type temp struct {
	*os.File      // nil when somebody else closes it
	kept     bool // under a name of its own
}

// create makes a temporary file. Its lock is shared, which tells others to leave it.
func (c *cache) create() (*temp, error) {
	f, err := os.CreateTemp(c.dir, tempPrefix)
	if err != nil {
		return nil, err
	}
	for errors.Is(filelock.Share(f), filelock.ErrBusy) {
		time.Sleep(time.Millisecond) // somebody looks whether it was abandoned, and tells nobody when he has
	}
	return &temp{File: f}, nil // without locks its age tells
}

// discard closes the file, and removes it unless it was kept.
func (t *temp) discard() {
	if t.File == nil {
		return
	}
	if !t.kept {
		os.Remove(t.Name())
	}
	t.Close()
}

// keep gives a complete file its name; fs.ErrExist says that there is one already,
// which must stay, as others may have it. Then there may be too much.
func (c *cache) keep(t *temp, ref string) error {
	info, err := t.Stat()
	if err != nil {
		return err
	}
	if err := t.Chmod(0o400); err != nil {
		return err
	}
	err = os.Link(t.Name(), c.path(ref))
	switch {
	case err == nil:
		os.Remove(t.Name())
	case errors.Is(err, fs.ErrExist):
		return fs.ErrExist
	default: // no links here, and hardly locks
		if err := os.Rename(t.Name(), c.path(ref)); err != nil {
			return err
		}
	}
	t.kept = true
	c.trust(ref, info)
	c.mu.Lock()
	c.size += info.Size()
	full := c.size > c.max
	c.mu.Unlock()
	if full {
		c.sweep()
	}
	return nil
}

// abandoned reports whether a temporary file has nobody who writes it.
func abandoned(path string, info os.FileInfo) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	switch filelock.Take(f) {
	case nil:
		// between its making and its lock there is a moment
		return time.Since(info.ModTime()) > time.Minute
	case filelock.ErrNone:
		return time.Since(info.ModTime()) > 24*time.Hour
	}
	return false
}

func isTemp(path string) bool { return strings.HasPrefix(filepath.Base(path), tempPrefix) }
