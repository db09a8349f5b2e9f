//go:build failpoint

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// RPIPE_FAILPOINT is name, or name:n for the n-th time that the place is passed.
var (
	name, at = parse(os.Getenv("RPIPE_FAILPOINT"))
	hits     atomic.Int64
)

func parse(s string) (string, int64) {
	name, n, ok := strings.Cut(s, ":")
	at, err := strconv.ParseInt(n, 10, 64)
	if !ok || err != nil {
		return name, 1
	}
	return name, at
}

// Hit kills the process, as kill -9 does, where the environment says so.
func Hit(place string) {
	if place != name || hits.Add(1) != at {
		return
	}
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(syscall.SIGKILL)
	}
	if err == nil {
		select {}
	}
	os.Exit(137)
}
