//go:build unix

package sinks

import (
	"errors"

	"golang.org/x/sys/unix"
)

// dead reports whether the owner's process is known to be gone: it was of this
// machine, and no process has its pid.
func (o owner) dead() bool {
	return o.Machine != "" && o.Machine == machine() && o.Pid > 0 && errors.Is(unix.Kill(o.Pid, 0), unix.ESRCH)
}
