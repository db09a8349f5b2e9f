package sinks

import (
	"errors"
	"io/fs"
	"os"
	"slices"
)

// secondName ends the name of the single file of before, while a run replaces it.
const secondName = ".old"

// nowVisible remembers what undo takes back.
func (o *output) nowVisible(path string) {
	if !slices.Contains(o.moved, path) {
		o.moved = append(o.moved, path)
	}
}

// second is where the single file of before stands until the run has finished.
func (o *output) second() string { return o.abs("." + o.file + secondName + ".tmp-" + o.run) }

// replaceFile renames over the single file, so that there is one at every
// moment. The one of before keeps a second name, as far as the file system has
// such.
func (o *output) replaceFile(from, to string) error {
	switch err := os.Link(to, o.second()); {
	case err == nil, errors.Is(err, fs.ErrExist):
		o.kept = true
	case errors.Is(err, fs.ErrNotExist): // there is none
	default:
		o.lost = true
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	o.nowVisible(o.file)
	return nil
}

// undo makes what the run has published invisible again, unless it is committed.
func (o *output) undo() error {
	if o.committed {
		return nil
	}
	var errs []error
	for _, path := range o.moved {
		err := error(nil)
		switch {
		case o.kept:
			err = os.Rename(o.second(), o.abs(path))
		case o.lost:
			err = errors.New("the file of before is gone, because this file system gives no file a second name; the new one, which is whole, stays")
		default:
			err = os.Remove(o.abs(path))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, failed("take back what was published to", o.shown, err))
		}
	}
	if len(o.moved) > 0 && len(errs) == 0 {
		errs = append(errs, o.syncDirs(map[string]bool{o.dir: true}))
	}
	o.moved = nil
	return errors.Join(errs...)
}

// revoke takes back a finish that deleted nothing: the manifest is the one of
// before, and undo takes back the files.
func (o *output) revoke() error {
	if !o.committed {
		return nil
	}
	var err error
	if o.previous != nil {
		_, err = o.writeManifest(o.previous)
	} else {
		err = failed("remove the manifest of", o.shown, os.Remove(o.abs(o.manifestFile())))
	}
	o.committed = err != nil
	return err
}
