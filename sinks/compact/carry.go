package compact

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/frame/partition"
)

// lockName is the lock file of an output, which is of this directory and not of
// the one that takes its place.
const lockName = ".rpipe.lock"

// carry gives everything in from that is wanted a second name in to. It returns
// the paths of all that it saw, with the file where it now has both names. The
// manifest and the lock are not carried.
func carry(ctx context.Context, from, to string, want func(rel string) bool) (seen map[string]fs.FileInfo, err error) {
	seen = map[string]fs.FileInfo{}
	err = filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		seen[rel] = nil
		target := filepath.Join(to, filepath.FromSlash(rel))
		switch {
		case e.IsDir():
			return carryDirectory(path, target)
		case rel == partition.Manifest, rel == lockName, !want(rel):
			return nil
		}
		linked, err := second(path, target, e)
		if err == nil && linked {
			seen[rel], err = os.Lstat(target)
		}
		return err
	})
	return seen, err
}

func carryDirectory(path, target string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	keepOwner(target, info)
	return os.Chmod(target, info.Mode().Perm()|info.Mode()&(fs.ModeSetgid|fs.ModeSticky))
}

// second gives a file a second name. Links are made anew, and so is a file of
// another user that this one may not link to.
func second(path, target string, e fs.DirEntry) (linked bool, err error) {
	if e.Type()&fs.ModeSymlink != 0 {
		to, err := os.Readlink(path)
		if err != nil {
			return false, err
		}
		return false, os.Symlink(to, target)
	}
	err = os.Link(path, target)
	if errors.Is(err, fs.ErrPermission) && e.Type().IsRegular() {
		return false, copyFile(path, target)
	}
	return err == nil, err
}

func copyFile(path, target string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Sync()
	}
	err = errors.Join(err, to.Close())
	if err == nil {
		keepOwner(target, info)
		err = os.Chtimes(target, info.ModTime(), info.ModTime())
	}
	return err
}

// adopt moves into the new directory what came into the old one after carry had
// seen it, and files that were put in the place of carried ones: they are
// somebody else's and must not go with the old. What was put into the new one
// since it took the place is later still, and stays.
func adopt(old, dir string, seen map[string]fs.FileInfo) error {
	return filepath.WalkDir(old, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(old, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, rel)
		carried, known := seen[filepath.ToSlash(rel)]
		there, err := os.Lstat(target)
		switch {
		case carried != nil && err == nil:
			if here, err := e.Info(); err != nil || os.SameFile(here, carried) || !os.SameFile(there, carried) {
				return err
			}
		case known, err == nil: // retired, or the new directory has its own
			return nil
		}
		if err := os.Rename(path, target); err != nil {
			return err
		}
		if e.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
}
