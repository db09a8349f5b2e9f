package sinks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Retirer is implemented by the writers of files that can put new files in the
// place of some of the old ones.
type Retirer interface {
	// Retire ends a writer that was opened with if_exists: replace in the place of
	// Finish. The manifest names the published parts and the files of before but
	// for those in retired. These stay where they are until that time, for readers
	// that have begun with the manifest of before; the first run or compaction
	// after it removes them, or Retire itself where it has passed. After an error
	// with ErrCommitted in its chain the new manifest is there all the same.
	Retire(ctx context.Context, retired []string, until time.Time) error
}

// retiredFile is a file that the manifest names no more.
type retiredFile struct {
	Path  string    `json:"path"`  // by which they are sorted
	Until time.Time `json:"until"` // it may be removed then
}

// Retire implements Retirer.
func (w *fileWriter) Retire(ctx context.Context, retired []string, until time.Time) error {
	if w.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := w.out.retire(ctx, w.manifest(false), w.published, retired, until); err != nil {
		return err
	}
	return w.end()
}

func (o *output) retire(ctx context.Context, m *manifest, parts []Part, retired []string, until time.Time) error {
	partial := map[string]bool{} // directories of which some rows are of runs that were stopped
	times := map[string][]string{}
	going := map[string]bool{}
	for _, path := range retired {
		going[path] = true
	}
	if o.old != nil {
		for _, f := range o.old.Files {
			if !going[f.Path] {
				m.Files = append(m.Files, f)
				continue
			}
			m.Retired = append(m.Retired, retiredFile{f.Path, until})
			partial[dirOf(f.Path)] = partial[dirOf(f.Path)] || f.Partial
			times[dirOf(f.Path)] = gathered(times[dirOf(f.Path)], f.Scheduled)
		}
	}
	slices.SortFunc(m.Retired, func(a, b retiredFile) int { return strings.Compare(a.Path, b.Path) })
	stay := len(m.Files)
	m.add(parts)
	for i := range m.Files[stay:] {
		file := &m.Files[stay+i]
		file.Partial = file.Partial || partial[dirOf(file.Path)]
		file.Scheduled = gathered(file.Scheduled, times[dirOf(file.Path)])
	}
	m.sum()
	if err := o.place.holds(ctx); err != nil {
		return failed("publish to", o.shown, err)
	}
	replaced, err := o.writeManifest(ctx, m)
	if !replaced {
		return err
	}
	o.committed, o.old = true, m
	if err == nil {
		err = o.removeRetired(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w; then: %w", ErrCommitted, err)
	}
	return nil
}

// removeRetired removes the retired files whose time has come.
func (o *output) removeRetired(ctx context.Context) error {
	if o.old == nil {
		return nil
	}
	var due []string
	var later []retiredFile
	now := time.Now()
	for _, f := range o.old.Retired {
		if f.Until.After(now) {
			later = append(later, f)
		} else {
			due = append(due, f.Path)
		}
	}
	if len(due) == 0 {
		return nil
	}
	if err := o.place.remove(ctx, due); err != nil {
		return failed("delete a file that was compacted of", o.shown, err)
	}
	o.old.Retired = later
	_, err := o.writeManifest(ctx, o.old)
	return err
}

// retires reports whether a file is there for readers of an earlier manifest.
func (m *manifest) retires(path string) bool {
	if m == nil {
		return false
	}
	_, found := slices.BinarySearchFunc(m.Retired, path, func(f retiredFile, path string) int { return strings.Compare(f.Path, path) })
	return found
}

func (m *manifest) retiredPaths() []string {
	paths := make([]string, len(m.Retired))
	for i, f := range m.Retired {
		paths[i] = f.Path
	}
	return paths
}
