package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// directory is the place of an output on a file system. Parts are hidden files
// in its top directory until they are renamed.
type directory struct {
	shown string // as the user wrote it
	dir   string
	file  string // the name of the single file; "" for a directory
	run   string

	lock *lock
	made []string        // directories that makeDir created, outermost first
	dirs map[string]bool // partitions' directories that this run made
	lost bool            // the single file of before could not be given a second name

	settled bool // the directory's own name is on stable storage

	create func(path string) (storage, error)
}

func openDirectory(l *layout, o *output, base string) (*directory, error) {
	d := &directory{shown: l.path, dir: l.path, run: o.run, dirs: map[string]bool{}, create: createFile}
	if !filepath.IsAbs(d.dir) {
		d.dir = filepath.Join(base, d.dir)
	}
	if l.single(o.ext) {
		d.dir, d.file = filepath.Split(d.dir)
	}
	o.file = d.file
	d.dir = filepath.Clean(d.dir)
	if err := d.makeDir(o.ext); err != nil {
		d.removeMade()
		return nil, failed("create directory", d.shown, err)
	}
	return d, nil
}

// makeDir is os.MkdirAll that remembers what it made, so that a run that fails
// leaves no empty directory.
func (d *directory) makeDir(ext string) error {
	for p := d.dir; ; p = filepath.Dir(p) {
		st, err := os.Stat(p)
		if err == nil && !st.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: p, Err: fmt.Errorf("%s is a file, and a directory is needed; one file is written where path ends in %s", p, ext)}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		d.made = append([]string{p}, d.made...)
		if p == filepath.Dir(p) {
			break
		}
	}
	return os.MkdirAll(d.dir, 0o755)
}

// removeMade removes directories that are ours and empty.
func (d *directory) removeMade() {
	for i := len(d.made) - 1; i >= 0; i-- {
		if os.Remove(d.made[i]) != nil {
			return
		}
	}
}

func (d *directory) root() string  { return d.dir }
func (d *directory) remote() bool  { return false }
func (d *directory) buffer() int64 { return 0 }
func (d *directory) interrupt()    {}

func (d *directory) abs(rel string) string { return filepath.Join(d.dir, filepath.FromSlash(rel)) }

func (d *directory) take(_ context.Context, me owner) (before owner, err error) {
	d.lock, err = acquire(d.abs(lockName(d.file)), me)
	if err != nil {
		return owner{}, err
	}
	return d.lock.before, nil
}

// holds looks whether the lock file is still the one that others find: somebody
// may have removed it, and then another run may be here.
func (d *directory) holds(context.Context) error {
	if d.lock.held() {
		return nil
	}
	return fmt.Errorf("%w: the lock file %s was removed or is of another", ErrFenced, lockName(d.file))
}

func (d *directory) leave(_ context.Context, left *owner) error {
	for dir := range d.dirs {
		d.prune(dir)
	}
	d.lock.release(left)
	if left == nil {
		d.removeMade()
	}
	return nil
}

func (d *directory) sweep(_ context.Context, drop func(l leftover) bool) (dropped int, kept map[string]bool, err error) {
	kept = map[string]bool{}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return 0, kept, nil // nothing is there, or it cannot be seen
	}
	for _, e := range entries {
		name, run, ok := strings.Cut(strings.TrimPrefix(e.Name(), "."), tempMark)
		if !ok || !strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		if !drop(leftover{run: run, name: name, id: e.Name()}) {
			kept[e.Name()] = true
		} else if os.Remove(d.abs(e.Name())) == nil {
			dropped++
		}
	}
	return dropped, kept, nil
}

// abortListed has nothing to do: sweep sees all files.
func (d *directory) abortListed(context.Context, func(path, id string) bool) int { return 0 }

// list looks into the directories that are wanted alone: others may be large.
func (d *directory) list(_ context.Context, wanted func(path string, dir bool) bool) (map[string]int64, error) {
	found := map[string]int64{}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.dir {
			return err
		}
		rel, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case e.IsDir() && !wanted(rel, true):
			return fs.SkipDir
		case e.IsDir() || !wanted(rel, false):
			return nil
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			found[rel] = st.Size()
		}
		return err
	})
	return found, err
}

func (d *directory) size(_ context.Context, path string) (int64, error) {
	st, err := os.Lstat(d.abs(path))
	if err != nil {
		return 0, err
	}
	if st.IsDir() && d.file != "" {
		return 0, errIsDirectory
	}
	return st.Size(), nil
}

// remove forces what it did to disk: after a power cut a file that came back
// would be one that no manifest knows.
func (d *directory) remove(_ context.Context, paths []string) error {
	dirs := map[string]bool{}
	for _, path := range paths {
		if err := os.Remove(d.abs(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		d.prune(dirOf(path))
		d.around(dirs, path)
	}
	return syncDirs(dirs)
}

func (d *directory) load(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(d.abs(name))
}

// save writes a temporary file, forces it to disk, renames it, and forces the
// directory to disk.
func (d *directory) save(_ context.Context, name string, data []byte) (saved bool, err error) {
	temp := d.abs(d.temp(name))
	os.Remove(temp) // of an attempt before this one
	f, err := d.create(temp)
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp, d.abs(name))
	}
	if err != nil {
		os.Remove(temp)
		return false, err
	}
	return true, durable.SyncDir(d.dir)
}

// tempMark stands between a file's name and the run in its temporary name.
const tempMark = ".tmp-"

// temp is the temporary name of a file, in the top directory: no partition's
// directory is seen before it has a complete file.
func (d *directory) temp(name string) string { return tempName(name, d.run) }

func tempName(name, run string) string { return "." + name + tempMark + run }
