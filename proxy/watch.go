package proxy

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
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

// watcher tells when files below some directories have changed.
type watcher struct {
	notify *fsnotify.Watcher
	log    *slog.Logger
}

func newWatcher(log *slog.Logger) (*watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &watcher{notify: n, log: log}, nil
}

// add watches dir and what is below it.
func (w *watcher) add(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil:
			return nil // it has gone, or is none of ours
		case !d.IsDir():
			return nil
		case path != dir && (strings.HasPrefix(d.Name(), ".") || slices.Contains(ignored, d.Name())):
			return filepath.SkipDir
		}
		return w.notify.Add(path)
	})
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
			if e.Has(fsnotify.Create) {
				if err := w.add(e.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					w.log.Debug("cannot watch", "path", e.Name, "error", err)
				}
			}
			if e.Has(fsnotify.Chmod) && !e.Has(fsnotify.Write) || !slices.Contains(watched, strings.ToLower(filepath.Ext(e.Name))) {
				continue
			}
			if !slices.Contains(paths, e.Name) {
				paths = append(paths, e.Name)
			}
			still.Reset(settle)
		case err := <-w.notify.Errors:
			w.log.Warn("watching files: some changes may have been missed", "error", err)
		case <-still.C:
			changed(paths)
			paths = nil
		case <-ctx.Done():
			return
		}
	}
}
