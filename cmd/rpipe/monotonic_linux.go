package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reloading is what systemd is told when a reload begins: with the time by the clock that
// it compares with its own, so that a READY=1 of before is not taken for the end.
func reloading() string {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", t.Nano()/1000)
}
