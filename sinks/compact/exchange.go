package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/sinks"
)

// siblingMark stands in the hidden name of a directory that is being built
// beside an output, or was exchanged with it.
const siblingMark = ".compact-"

// siblings is the beginning of the names of such directories.
func siblings(dir string) string {
	return "." + strings.ReplaceAll(filepath.Base(dir), "=", "_") + siblingMark // a name with = would be a partition
}

// exchange builds the new directory beside the old one and exchanges the two.
// The lock of the old one is held.
func (j *job) exchange(ctx context.Context, old *local) (err error) {
	dir := filepath.Join(filepath.Dir(old.dir), siblings(old.dir)+j.env.Run)
	before, err := old.manifest(ctx)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	parts, err := j.build(ctx, dir)
	if err != nil {
		return err
	}
	retired := j.retired()
	known, err := carry(ctx, old.dir, dir, func(rel string) bool { return !retired[rel] })
	if err != nil {
		return fmt.Errorf("carry over what else is in the directory: %w", err)
	}
	text, err := j.manifest.after(j.env.Run, retired, parts, j.schema).merged(before)
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(dir, partition.Manifest), text); err != nil {
		return err
	}
	if err := syncTree(dir); err != nil {
		return err
	}
	passed("compact-built")
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := swap(old.dir, dir); err != nil {
		return fmt.Errorf("exchange the directory: %w", err)
	}
	done = true
	passed("compact-exchanged")
	j.wrote(parts)
	// The new output is there. What goes wrong from here on leaves litter alone.
	err = errors.Join(syncDir(filepath.Dir(old.dir)), adopt(dir, old.dir, known))
	passed("compact-adopted")
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		j.env.Log.Warn("the output is compacted, and the old directory could not be removed; the next compaction tries again", "directory", dir, "error", err)
	}
	return nil
}

// build writes the new files into a directory that nobody looks into.
func (j *job) build(ctx context.Context, dir string) (parts []sinks.Part, err error) {
	w, err := j.sink(dir, "error").Open(ctx, j.env)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	if parts, err = j.write(ctx, w); err != nil {
		return nil, err
	}
	passed("compact-written")
	if err := j.publish(ctx, w, parts); err != nil {
		return nil, err
	}
	return parts, w.Finish(ctx, true)
}

// carry gives everything in from that is wanted a second name in to, and returns
// the paths of all that it saw, wanted or not. The manifest and the lock stay.
func carry(ctx context.Context, from, to string, want func(rel string) bool) (seen map[string]bool, err error) {
	seen = map[string]bool{}
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
		seen[rel] = true
		target := filepath.Join(to, filepath.FromSlash(rel))
		switch {
		case e.IsDir():
			return carryDirectory(path, target)
		case rel == partition.Manifest, rel == lockName, !want(rel):
			return nil
		}
		return second(path, target, e)
	})
	return seen, err
}

// lockName is the lock file of an output, which is of this directory and not of
// the one that takes its place.
const lockName = ".rpipe.lock"

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

// second gives a file a second name, or copies a link.
func second(path, target string, e fs.DirEntry) error {
	if e.Type()&fs.ModeSymlink != 0 {
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(to, target)
	}
	return os.Link(path, target)
}

// adopt moves what came into the old directory after carry had seen it into the
// new one: it is somebody else's and must not go with the old.
func adopt(old, dir string, seen map[string]bool) error {
	return filepath.WalkDir(old, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(old, path)
		if err != nil || seen[filepath.ToSlash(rel)] {
			return err
		}
		target := filepath.Join(dir, rel)
		if _, err := os.Lstat(target); err == nil {
			return nil // the new directory has its own
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

// Sweep removes the directories that compactions of dir left beside it because
// they died. The caller holds the output's lock, so none of them is alive.
func Sweep(dir string) error {
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return cause(err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), siblings(dir)) {
			errs = append(errs, os.RemoveAll(filepath.Join(filepath.Dir(dir), e.Name())))
		}
	}
	return errors.Join(errs...)
}
