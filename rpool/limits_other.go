//go:build unix && !linux

package rpool

import (
	"fmt"
	"strings"
	"time"
)

// limitedCommand wraps args in a shell that sets the limits and becomes args.
func limitedCommand(args []string, l Limits) []string {
	var set strings.Builder
	limit := func(flag string, n int64) {
		if n > 0 {
			fmt.Fprintf(&set, "ulimit -%s %d; ", flag, n)
		}
	}
	limit("v", (l.AddressSpace+1023)/1024) // KiB
	limit("t", int64((l.CPU+time.Second-1)/time.Second))
	limit("n", int64(l.Files))
	limit("u", int64(l.Processes))
	if set.Len() == 0 {
		return args
	}
	return append([]string{"/bin/sh", "-c", set.String() + `exec "$0" "$@"`}, args...)
}

func applyLimits(int, Limits) error { return nil }
