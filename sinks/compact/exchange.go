package compact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/internal/durable"
	"github.com/rpipe-dev/rpipe/sinks"
)

// siblingMark stands in the hidden name of a directory that is being built
// beside an output, or was exchanged with it.
const siblingMark = ".compact-"

// siblings is the beginning of the names of such directories. A name with =
// would be a partition, and the hash tells a=b and a_b apart.
func siblings(dir string) string {
	name := filepath.Base(dir)
	sum := sha256.Sum256([]byte(name))
	return "." + strings.ReplaceAll(name, "=", "_") + siblingMark + hex.EncodeToString(sum[:4]) + "-"
}

// exchange builds the new directory beside the old one and exchanges the two.
// The holder has the lock of the old one.
func (j *job) exchange(ctx context.Context, old *local, holder sinks.Writer) (err error) {
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
	carried, err := carry(ctx, old.dir, dir, func(rel string) bool { return !retired[rel] })
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
	if err := holder.Publish(ctx, nil); err != nil { // asks for nothing but whether the lock is still ours
		return err
	}
	if err := swap(old.dir, dir); err != nil {
		return fmt.Errorf("exchange the directory: %w", err)
	}
	done = true
	passed("compact-exchanged")
	j.wrote(parts)
	// The new output is there. What goes wrong from here on leaves litter alone.
	err = errors.Join(durable.SyncDir(filepath.Dir(old.dir)), adopt(dir, old.dir, carried))
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

// Sweep removes the directories that compactions of dir left beside it because
// they died. The caller holds the output's lock, so none of them is alive.
func Sweep(dir string) error {
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return cause(err)
	}
	var errs []error
	for _, e := range entries {
		run, ours := strings.CutPrefix(e.Name(), siblings(dir))
		if !e.IsDir() || !ours {
			continue
		}
		left := filepath.Join(filepath.Dir(dir), e.Name())
		err := salvage(left, dir, run)
		if err == nil {
			err = os.RemoveAll(left)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
