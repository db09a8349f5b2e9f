//go:build !linux

package rpool

import "os"

// mayRaise reports whether this process may raise a scheduling priority again:
// on Unix the superuser may; Windows has no such numbers (Geteuid is -1).
func mayRaise() bool { return os.Geteuid() == 0 }
