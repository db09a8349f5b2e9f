//go:build unix

package node

import (
	"os"
	"path/filepath"
	"strings"
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

// Files of a worker are not taken, nor removed, by another one of its name.
func TestFilesOfOneName(t *testing.T) {
	w := newWorld(t, broker.Options{})
	dir := t.TempDir()
	defer func(was time.Duration) { lockFor = was }(lockFor)
	lockFor = 0
	worker := func() *Node {
		t.Helper()
		n, err := New(w.b, w.s, Options{ID: "one", CacheDir: dir, Base: bare(), Max: 1})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := worker()
	if err := first.openScratch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first.scratch("result"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := worker().Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another worker has the files in "+first.scratch("")) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := os.Stat(first.scratch("result")); err != nil {
		t.Error(err)
	}

	// The next one waits until it has ended, and has a directory of its own then.
	lockFor = time.Minute
	next := worker()
	opened := make(chan error, 1)
	go func() { opened <- next.openScratch(t.Context()) }()
	first.closeScratch()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if !isAt(next.lock, next.scratch(lockName)) {
		t.Error("its directory was removed")
	}
	next.closeScratch()
	if _, err := os.Stat(next.scratch("")); err == nil {
		t.Error("its directory is left")
	}
}
