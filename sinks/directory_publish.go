package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rpipe-dev/rpipe/internal/durable"
	"github.com/rpipe-dev/rpipe/internal/failpoint"
)

// publish renames parts to their names and forces the names to stable storage.
func (d *directory) publish(_ context.Context, parts []Part, replace bool, shown func(path string)) error {
	if err := d.makeDirs(parts); err != nil {
		return err
	}
	if err := d.lock.sync(); err != nil {
		return err
	}
	dirs := map[string]bool{}
	for _, p := range parts {
		d.around(dirs, p.Path)
		ours, err := d.show(p, replace)
		if err != nil {
			return err
		}
		if ours {
			shown(p.Path)
		}
		failpoint.Hit("part")
	}
	return syncDirs(dirs)
}

// syncDirs forces the names in directories to stable storage. One that is gone
// was empty, and its name was in another of them.
func syncDirs(dirs map[string]bool) error {
	for dir := range dirs {
		if err := durable.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// around adds the directories whose names change when a file comes or goes.
func (d *directory) around(dirs map[string]bool, path string) {
	for at := dirOf(path); ; at = dirOf(at) {
		dirs[d.abs(at)] = true
		if at == "" {
			return
		}
	}
}

// show makes one part visible, or finds that it is. ours says that this run did
// it, now or before a restart.
func (d *directory) show(p Part, replace bool) (ours bool, err error) {
	from, to := d.abs(p.Temp), d.abs(p.Path)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) || p.Temp == "" {
		// The size is enough: content with this name and size that is not the part's
		// would have to be put there on purpose, and a checksum reads all of it.
		st, err := os.Stat(to)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, gone(p)
		case err != nil:
			return false, err
		case st.Size() != p.Bytes:
			return false, fmt.Errorf("%s is there already with another content: it has %d bytes, the part has %d", p.Path, st.Size(), p.Bytes)
		}
		return d.file == "", nil // the name of a part shows whose it is
	}
	if d.file != "" && replace {
		return true, d.replaceFile(from, to)
	}
	err = moveNew(from, to)
	if errors.Is(err, fs.ErrExist) {
		if err := same(to, p); err != nil {
			return false, err
		}
		return false, os.Remove(from)
	}
	return err == nil, err
}

// same compares a file that is there with what the part says of it, as it was
// written: a checksum computed anew from the temporary file would prove nothing.
func same(path string, p Part) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%s is there already with another content", p.Path)
	}
	return nil
}

// secondName ends the name of the single file of before, while a run replaces it.
const secondName = ".old"

// second is where the single file of before stands until the run has finished.
func (d *directory) second() string { return d.abs(d.temp(d.file + secondName)) }

// replaceFile renames over the single file, so that there is one at every
// moment. The one of before keeps a second name, as far as the file system has
// such.
func (d *directory) replaceFile(from, to string) error {
	err := os.Link(to, d.second())
	d.lost = err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist)
	return os.Rename(from, to)
}

func (d *directory) putBack(run string) error {
	err := os.Rename(d.abs(tempName(d.file+secondName, run)), d.abs(d.file))
	if err == nil {
		err = durable.SyncDir(d.dir)
	}
	return err
}

func (d *directory) takeBack(_ context.Context, paths []string) error {
	var errs []error
	dirs := map[string]bool{}
	for _, path := range paths {
		err := error(nil)
		if d.file != "" {
			err = os.Rename(d.second(), d.abs(path))
		}
		switch {
		case d.file != "" && !errors.Is(err, fs.ErrNotExist):
		case d.lost:
			err = errors.New("the file of before is gone, because this file system gives no file a second name; the new one, which is whole, stays")
		default:
			err = os.Remove(d.abs(path))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		d.prune(dirOf(path))
		d.around(dirs, path)
	}
	if len(errs) == 0 {
		errs = append(errs, syncDirs(dirs))
	}
	return errors.Join(errs...)
}
