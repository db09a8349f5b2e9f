package tempdir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSweep: what nobody holds goes, what somebody holds or has just made stays.
func TestSweep(t *testing.T) {
	parent := t.TempDir()
	make := func(prefix string) *Dir {
		t.Helper()
		d, err := in(parent, prefix)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	age := func(d *Dir) {
		t.Helper()
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(d.Path, lockName), old, old); err != nil {
			t.Fatal(err)
		}
	}
	held, young, killed, other := make("a-"), make("a-"), make("a-"), make("b-")
	stranger, err := os.MkdirTemp(parent, "a-") // not ours
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Dir{held, killed, other} {
		age(d)
	}
	for _, d := range []*Dir{young, killed, other} { // as the end of their process does
		if err := d.lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	last := make("a-")
	for path, want := range map[string]bool{held.Path: true, young.Path: true, killed.Path: false, other.Path: true, stranger: true, last.Path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
	for _, d := range []*Dir{held, last} {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.Path); err == nil {
			t.Errorf("%s is still there", d.Path)
		}
	}
}
