//go:build unix

package stages

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockScratch takes the lock of a directory, and reports whether it could.
func lockScratch(dir *os.File) bool {
	return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
