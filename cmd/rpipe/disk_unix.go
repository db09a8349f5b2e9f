//go:build unix

package main

import "golang.org/x/sys/unix"

// freeBytes is the room that dir's file system has for us.
func freeBytes(dir string) (n uint64, known bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}
