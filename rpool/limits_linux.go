package rpool

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// limitedCommand is args as they are: applyLimits sets the limits.
func limitedCommand(args []string, _ Limits) []string { return args }

// applyLimits sets the limits of a process that waits for its environment; all
// that it starts later inherits them.
func applyLimits(pid int, l Limits) error {
	for _, r := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"address space", unix.RLIMIT_AS, uint64(l.AddressSpace)},
		{"CPU time", unix.RLIMIT_CPU, uint64((l.CPU + time.Second - 1) / time.Second)},
		{"open files", unix.RLIMIT_NOFILE, uint64(l.Files)},
		{"processes", unix.RLIMIT_NPROC, uint64(l.Processes)},
	} {
		if r.limit == 0 {
			continue
		}
		if err := unix.Prlimit(pid, r.resource, &unix.Rlimit{Cur: r.limit, Max: r.limit}, nil); err != nil {
			return fmt.Errorf("limit %s to %d: %w", r.name, r.limit, err)
		}
	}
	return nil
}
