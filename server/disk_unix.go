//go:build unix

package server

import "golang.org/x/sys/unix"

// diskOf is how many bytes the file system of a directory has left, and has at all.
func diskOf(dir string) (free, size int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), true //nolint:unconvert // the types differ by system
}
