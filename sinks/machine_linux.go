package sinks

import (
	"os"
	"strings"
)

// machine identifies the kernel that runs and the space of its pids in which
// this process is: containers share a host's name, or a kernel, but not both of
// these.
func machine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + space
}
