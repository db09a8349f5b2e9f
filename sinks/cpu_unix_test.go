//go:build unix

package sinks

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the CPU time that this process has used, over all threads: on a
// machine that others use too it says more than the clock.
func cpu() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
