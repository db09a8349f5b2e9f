package blob

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// sweep looks at the whole directory: it removes what the dead were writing, and, where
// there is more than max, those files that were used longest ago, until nine tenths of
// it are left.
func (c *cache) sweep() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := c.path(e.Name())
		switch {
		case isTemp(path):
			if abandoned(path, info) {
				os.Remove(path)
			}
		case check(e.Name()) == nil:
			files = append(files, info)
			total += info.Size()
		}
	}
	if total > c.max {
		slices.SortFunc(files, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
		for _, f := range files {
			if total <= c.max/10*9 {
				break
			}
			if c.evict(f) {
				total -= f.Size()
			}
		}
	}
	c.mu.Lock()
	c.size = total
	c.mu.Unlock()
}

// evict removes a file unless somebody uses it, here or in another process.
func (c *cache) evict(info fs.FileInfo) bool {
	path := c.path(info.Name())
	f, err := os.Open(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	switch filelock.Take(f) {
	case nil:
	case filelock.ErrNone:
		// nothing tells whether it is in use, but that it was not for long
		if time.Since(info.ModTime()) < time.Hour || c.inUse(info.Name()) {
			return false
		}
	default:
		return false
	}
	// with the lock of what is there nobody else removes it
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	if err != nil || !os.SameFile(mine, there) {
		return false
	}
	return os.Remove(path) == nil
}

func (c *cache) inUse(ref string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.entries[ref]
	return ok
}
