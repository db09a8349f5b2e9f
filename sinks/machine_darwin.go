package sinks

import "golang.org/x/sys/unix"

// machine identifies the system that runs, since its last start.
func machine() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
