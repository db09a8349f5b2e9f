package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must be left alone before they are loaded: editors
// write in several steps.
const settle = 150 * time.Millisecond

// watched are the files that code consists of; others change while it runs.
var watched = []string{".r", ".rmd", ".qmd", ".html", ".css", ".js", ".yaml", ".yml", ".rds", ".rdata", ".json", ".sql", ".stan", ".cpp"}

// ignored are directories that are never looked into.
var ignored = []string{"renv", "packrat", "node_modules", "out"}

// watcher tells when files have changed: in some directories those that code
// consists of, elsewhere some by name.
type watcher struct {
	notify *fsnotify.Watcher
	log    *slog.Logger

	began, ended time.Time // the last load; run's own

	mu    sync.Mutex
	trees []string // with all that is below them
	files []string
}

func newWatcher(log *slog.Logger) (*watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &watcher{notify: n, log: log}, nil
}

// tree watches dir and what is below it.
func (w *watcher) tree(dir string) error {
	w.mu.Lock()
	if !slices.Contains(w.trees, dir) {
		w.trees = append(w.trees, dir)
	}
	w.mu.Unlock()
	_, err := w.enter(dir)
	return err
}

// file watches one file by way of its directory: many editors put a new file in
// the place of the old one.
func (w *watcher) file(path string) error {
	w.mu.Lock()
	if !slices.Contains(w.files, path) {
		w.files = append(w.files, path)
	}
	w.mu.Unlock()
	return w.notify.Add(filepath.Dir(path))
}

// enter watches dir, which may be a symbolic link, and the directories below it,
// and returns the files that are there.
func (w *watcher) enter(dir string) (files []string, err error) {
	top := dir + string(filepath.Separator)
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == top:
			return err
		case err != nil:
			return nil // it has gone, or is none of ours
		case !d.IsDir():
			files = append(files, path)
			return nil
		case path != top && passedBy(d.Name()):
			return filepath.SkipDir
		}
		return w.notify.Add(filepath.Clean(path))
	})
	return files, err
}

// passedBy reports whether a directory of that name is not looked into.
func passedBy(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains(ignored, name)
}

// run calls changed with the paths that have changed, when they have settled. It
// returns when ctx ends.
func (w *watcher) run(ctx context.Context, changed func(paths []string)) {
	defer w.notify.Close()
	var paths []string
	still := time.NewTimer(settle)
	still.Stop()
	for {
		select {
		case e := <-w.notify.Events:
			for _, path := range w.look(e) {
				if !slices.Contains(paths, path) {
					paths = append(paths, path)
				}
				still.Reset(settle)
			}
		case err := <-w.notify.Errors:
			w.log.Warn("watching files: some changes may have been missed", "error", err)
		case <-still.C:
			w.began = time.Now()
			changed(paths)
			w.ended, paths = time.Now(), nil
		case <-ctx.Done():
			return
		}
	}
}

// look is the files that an event is about, of those that matter. Of a directory
// that has just come they are all that it has: some may have come before it was
// watched.
func (w *watcher) look(e fsnotify.Event) []string {
	if e.Op == fsnotify.Chmod {
		return nil
	}
	files := []string{e.Name}
	if info, err := os.Lstat(e.Name); e.Has(fsnotify.Create) && err == nil && info.IsDir() {
		if passedBy(info.Name()) || !w.within(e.Name) {
			return nil
		}
		if files, err = w.enter(e.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.log.Debug("cannot watch", "path", e.Name, "error", err)
		}
	}
	return slices.DeleteFunc(files, func(path string) bool { return !w.matters(path) || w.made(path) })
}

// data are what code may write while it is loaded, such as a model that it keeps.
var data = []string{".rds", ".rdata", ".json", ".html"}

// made reports whether the last load has written a file: to load again for it would
// never come to an end.
func (w *watcher) made(path string) bool {
	if !slices.Contains(data, strings.ToLower(filepath.Ext(path))) {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.ModTime().After(w.began) && info.ModTime().Before(w.ended)
}

// matters reports whether the file at path is watched. Hidden files are editors'
// own.
func (w *watcher) matters(path string) bool {
	name := filepath.Base(path)
	w.mu.Lock()
	named := slices.Contains(w.files, path)
	w.mu.Unlock()
	return named || !strings.HasPrefix(name, ".") && slices.Contains(watched, strings.ToLower(filepath.Ext(name))) && w.within(path)
}

func (w *watcher) within(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.trees, func(dir string) bool { return inside(dir, path) })
}

func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// watchFiles reloads APIs when their files change, or the configuration file does.
func (s *Server) watchFiles() error {
	w, err := newWatcher(s.log)
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	if err := w.follow(s.file); err != nil {
		w.notify.Close()
		return err
	}
	s.watcher = w
	s.tasks.Go(func() { w.run(s.loads, func(paths []string) { s.changed(s.loads, paths) }) })
	return nil
}

// follow watches the files of APIs that have come with a reload, too.
func (s *Server) follow(f *File) {
	if s.watcher == nil {
		return
	}
	if err := s.watcher.follow(f); err != nil {
		s.log.Warn("changes to some files will not be noticed", "error", err)
	}
}

// follow watches what f consists of.
func (w *watcher) follow(f *File) error {
	if f.single == "" {
		if err := w.file(f.place()); err != nil {
			return fmt.Errorf("watch %s: %w", f.place(), err)
		}
	}
	for i := range f.APIs {
		c := &f.APIs[i]
		dir := c.dir(f.Dir())
		if err := w.tree(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
		for _, path := range c.others(f) {
			if err := w.file(path); err != nil {
				return fmt.Errorf("watch %s: %w", path, err)
			}
		}
	}
	return nil
}

// place is where the configuration file is.
func (f *File) place() string { return filepath.Join(f.Dir(), filepath.Base(f.Path)) }

// others are files of an API that may be outside of its directory.
func (c *API) others(f *File) (paths []string) {
	for _, source := range c.R.Source {
		paths = append(paths, below(c.dir(f.Dir()), source))
	}
	for _, e := range c.Predict {
		if e.Pipeline != "" {
			paths = append(paths, below(f.Dir(), e.Pipeline))
		}
	}
	return paths
}

// consistsOf reports whether an API is to be loaded again when the file at path has
// changed. What the configuration file says of it is compared when that is read.
func (c *API) consistsOf(path string, f *File) bool {
	return path != f.place() && (inside(c.dir(f.Dir()), path) || slices.Contains(c.others(f), path))
}
