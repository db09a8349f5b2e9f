//go:build unix

package broker

import "golang.org/x/sys/unix"

// free is how many bytes the file system of dir has left; ok is false where it does not
// say.
func free(dir string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // the types differ by system
}
