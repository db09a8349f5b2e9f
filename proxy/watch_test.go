//go:build unix

package proxy

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watching runs a watcher until the test ends, and returns the paths that it tells
// of.
func watching(t *testing.T, follow func(w *watcher) error) (changed <-chan string) {
	t.Helper()
	w, err := newWatcher(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := follow(w); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan string), make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx, func(paths []string) {
			for _, p := range paths {
				select {
				case told <- p:
				case <-ctx.Done():
				}
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return told
}

// never are the names of files that no watcher of these tests is to tell of.
var never = []string{".#plumber.R", "notes.txt", "c.R", "d.R", "other.R", "other.yaml"}

// expect waits until the watcher has told of all paths.
func expect(t *testing.T, changed <-chan string, paths ...string) {
	t.Helper()
	missing := slices.Clone(paths)
	for len(missing) > 0 {
		select {
		case p := <-changed:
			if slices.Contains(never, filepath.Base(p)) {
				t.Errorf("told of %s", p)
			}
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == p })
		case <-time.After(time.Minute):
			t.Fatalf("not told of %v", missing)
		}
	}
}

func TestWatchedTreesAreWhateverTheirDirectoriesBecome(t *testing.T) {
	t.Parallel()
	top := files(t, map[string]string{"releases/1/plumber.R": "", "releases/1/R/a.R": ""})
	dir := filepath.Join(top, "current")
	if err := os.Symlink(filepath.Join(top, "releases", "1"), dir); err != nil {
		t.Fatal(err)
	}
	changed := watching(t, func(w *watcher) error { return w.tree(dir) })

	write(t, filepath.Join(dir, ".#plumber.R"), "") // an editor's lock
	write(t, filepath.Join(dir, "notes.txt"), "")
	write(t, filepath.Join(dir, "plumber.R"), "1")
	expect(t, changed, filepath.Join(dir, "plumber.R"))

	write(t, filepath.Join(dir, "R", "new.R"), "1")
	if err := os.Rename(filepath.Join(dir, "R", "new.R"), filepath.Join(dir, "R", "a.R")); err != nil {
		t.Fatal(err)
	}
	expect(t, changed, filepath.Join(dir, "R", "a.R"), filepath.Join(dir, "R", "new.R"))

	// A directory that comes with all that it has, and one that is never looked into.
	come := files(t, map[string]string{"lib/deep/b.R": "", "lib/.git/c.R": "", "renv/d.R": ""})
	for _, name := range []string{"renv", "lib"} {
		if err := os.Rename(filepath.Join(come, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, changed, filepath.Join(dir, "lib", "deep", "b.R"))
	write(t, filepath.Join(dir, "renv", "d.R"), "1")
	write(t, filepath.Join(dir, "lib", "deep", "b.R"), "1")
	expect(t, changed, filepath.Join(dir, "lib", "deep", "b.R"))
	if err := os.Remove(filepath.Join(dir, "plumber.R")); err != nil {
		t.Fatal(err)
	}
	expect(t, changed, filepath.Join(dir, "plumber.R"))
}

// A load that writes a file is no reason for another.
func TestWhatALoadWritesIsNotLoaded(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"plumber.R": "", "model.rds": ""})
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := watcher{trees: []string{dir}, began: began, ended: began.Add(time.Minute)}
	f := func(name string, after time.Duration, want bool) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Chtimes(path, time.Time{}, began.Add(after)); err != nil {
			t.Fatal(err)
		}
		if told := w.look(fsnotify.Event{Name: path, Op: fsnotify.Write}); (len(told) == 1) != want {
			t.Errorf("%s, %v after the load began: told of %v", name, after, told)
		}
	}
	f("model.rds", -time.Second, true)
	f("model.rds", time.Second, false)
	f("model.rds", 2*time.Minute, true)
	f("plumber.R", time.Second, true)
}

// What an API consists of beside its directory is watched by name, and the file that
// says so too.
func TestFilesOutsideOfTheDirectoryAreWatched(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"api/plumber.R": version(1), "shared/tools.R": "", "shared/other.R": "",
		"proxy.yaml": "version: 1\napis:\n  - plumber: {file: api/plumber.R}\n    r: {source: [../shared/tools.R]}\n",
	})
	f := load(t, dir)
	changed := watching(t, func(w *watcher) error { return w.follow(f) })
	write(t, filepath.Join(dir, "shared", "other.R"), "1")
	write(t, filepath.Join(dir, "other.yaml"), "1")
	write(t, filepath.Join(dir, "shared", "tools.R"), "1")
	expect(t, changed, filepath.Join(dir, "shared", "tools.R"))
	write(t, filepath.Join(dir, "proxy.yaml"), "version: 1\n")
	expect(t, changed, filepath.Join(dir, "proxy.yaml"))

	is := func(path string, want bool) {
		t.Helper()
		if got := f.APIs[0].consistsOf(filepath.Join(dir, path), f); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	is("api/plumber.R", true)
	is("api/R/more.R", true)
	is("shared/tools.R", true)
	is("shared/other.R", false)
	is("proxy.yaml", false)
}
