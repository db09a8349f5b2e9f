//go:build unix

package journal

import "golang.org/x/sys/unix"

func mayWrite(path string) error { return unix.Access(path, unix.W_OK|unix.X_OK) }
