//go:build unix

package rpool

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// systemd-tmpfiles takes what nobody used for ten days, unless its directory is locked.
func TestCleanersOfTmpLeaveAHomeAlone(t *testing.T) {
	h, err := newHome("")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	lock := func() error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
	if err := lock(); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("the directory can be cleaned: %v", err)
	}
	h.remove()
	if err := lock(); err != nil {
		t.Errorf("the lock outlives its directory: %v", err)
	}
}
