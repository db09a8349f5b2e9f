//go:build unix

package tokens

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The directory of a service is its own: what it leaves there must not have root
// give it a file of root's.
func TestRootGivesNothingAwayBehindALink(t *testing.T) {
	dir := t.TempDir()
	ours := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(ours, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	if err := os.Symlink(ours, path+".lock"); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	if root { // else nothing could be given away
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	before := owner(t, ours)
	create(t, open(t, path), "ana", 0, Proxy)
	if got := owner(t, ours); got != before {
		t.Errorf("a file of user %d belongs to %d now", before, got)
	}
	if got := owner(t, path); root && got != 65534 {
		t.Errorf("the store belongs to %d: the service cannot read it", got)
	}
}

func owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
