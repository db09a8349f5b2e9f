//go:build unix

package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Files of workers that were killed go, those of others stay.
func TestFilesOfKilledWorkers(t *testing.T) {
	w := newWorld(t, broker.Options{})
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"killed", "alive", "starting", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if name == "other" { // no worker's
			continue
		}
		f, err := os.Create(filepath.Join(dir, name, lockName))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if name == "alive" {
			if err := filelock.Take(f); err != nil {
				t.Fatal(err)
			}
		}
		if name != "starting" {
			if err := os.Chtimes(f.Name(), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	there := func() (names string) {
		all, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			names += e.Name() + " "
		}
		return names
	}
	n, err := New(w.b, w.s, Options{ID: "one", CacheDir: dir, Base: bare(), Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := there(); got != "alive one other starting " {
		t.Error(got)
	}
	n.end()
	if got := there(); got != "alive other starting " {
		t.Error(got)
	}
}
