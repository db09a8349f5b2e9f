package sinks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/frame/partition"
)

// checkExisting applies if_exists before anything is computed: a run of an hour
// must not find out at its end that it may not write.
func (o *output) checkExisting(limited bool) error {
	check := o.checkDirectory
	if o.file != "" {
		check = o.checkFile
	}
	if err := check(); err != nil {
		return err
	}
	if limited && o.complete {
		return &Error{
			Op: "open", Path: o.shown,
			Err:  fmt.Errorf("%w: it is complete, and a run of the first rows (--limit) would replace it", ErrExists),
			Hint: "give that run another path: path: ${out:" + o.shown + "} and -v out=try",
		}
	}
	return nil
}

func (o *output) checkFile() error {
	st, err := os.Stat(o.abs(o.file))
	switch {
	case err != nil:
		return nil // it is to be made; where it cannot be, that says why
	case st.IsDir():
		return &Error{Op: "open", Path: o.shown, Err: fmt.Errorf("it is a directory, and the extension %s asks for a file", o.ext)}
	case o.kind == existsError:
		return o.existsError("the file is there already")
	}
	if o.old == nil && st.Size() > 0 {
		return &Error{
			Op: "replace", Path: o.shown,
			Err:  fmt.Errorf("rpipe did not write it: %w", ErrExists),
			Hint: "move it away, or set another path",
		}
	}
	partial := o.old != nil && len(o.old.Files) == 1 && o.old.Files[0].Partial && o.old.Files[0].Bytes == st.Size()
	o.complete = !partial
	return nil
}

func (o *output) checkDirectory() error {
	found, err := o.dataFiles()
	if err != nil {
		return failed("read", o.shown, err)
	}
	var foreign, uncommitted []string
	for _, path := range found {
		switch run := runOf(path); {
		case o.old != nil && o.old.names(path):
		case run == "":
			foreign = append(foreign, path)
		case run == o.run: // before a restart
		case o.lock.died != "" && run == fileSafe(o.lock.died):
			uncommitted = append(uncommitted, path)
		default:
			o.strays = append(o.strays, path)
		}
	}
	if err := o.removeUncommitted(uncommitted); err != nil {
		return err
	}
	known := 0
	if o.old != nil {
		o.old.Files = slices.DeleteFunc(o.old.Files, func(f manifestFile) bool {
			_, err := os.Lstat(o.abs(f.Path))
			return errors.Is(err, fs.ErrNotExist)
		})
		known = len(o.old.Files)
	}
	if o.kind == existsError {
		switch {
		case known > 0:
			return o.existsError(fmt.Sprintf("it holds %d files of run %s (%s)", known, o.old.Run, o.old.Created.Format("2006-01-02 15:04")))
		case len(o.strays) > 0:
			return o.existsError(fmt.Sprintf("it holds files of a run that did not finish, such as %s", o.strays[0]))
		case len(foreign) > 0:
			return o.existsError(fmt.Sprintf("it holds %s", foreign[0]))
		}
		return nil
	}
	if o.kind != existsReplace {
		if err := o.checkBeside(known); err != nil {
			return err
		}
	}
	if o.kind == existsAppend {
		return nil
	}
	if len(foreign) > 0 {
		return &Error{
			Op: "replace", Path: o.shown,
			Err:  fmt.Errorf("%s is not a file that rpipe wrote there: %w", foreign[0], ErrExists),
			Hint: "only files named in " + partition.Manifest + " are deleted: move the others away, or set another path",
		}
	}
	o.complete = len(o.strays) > 0 || known > 0 && slices.ContainsFunc(o.old.Files, func(f manifestFile) bool { return !f.Partial })
	return nil
}

// checkBeside refuses to leave the files that are there beside new ones, where
// a reader could not take them together or would find rows twice.
func (o *output) checkBeside(known int) error {
	if known > 0 && o.old.Format != o.format {
		return &Error{
			Op: "open", Path: o.shown,
			Err:  fmt.Errorf("it holds %d files of format %s, and this sink writes %s: a reader takes all of them or none", known, o.old.Format, o.format),
			Hint: "set if_exists: replace, or another path",
		}
	}
	if len(o.strays) > 0 {
		return &Error{
			Op: "open", Path: o.shown,
			Err: fmt.Errorf("%w: %s is of run %s by its name, and no manifest names it: that run did not finish, or its manifest is gone",
				ErrExists, o.strays[0], runOf(o.strays[0])),
			Hint: "delete it if that run was repeated, else move it away; or set another path",
		}
	}
	return nil
}

// removeUncommitted removes the files of a run that died between Publish and
// Finish. That it died shows in the lock, which it never let go of; that they
// are not committed, in the manifest: nobody was told that they are there.
func (o *output) removeUncommitted(files []string) error {
	for _, path := range files {
		if err := os.Remove(o.abs(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed("delete a file that is not committed of", o.shown, err)
		}
		o.prune(dirOf(path))
	}
	if len(files) > 0 {
		o.log.Info("removed files that a run published and did not commit before it died",
			"files", len(files), "run", o.lock.died, "directory", o.dir)
	}
	return nil
}

// runOf is the run that a file is of by its name; "" for a file of others.
func runOf(path string) string {
	m := partPattern.FindStringSubmatch(path[strings.LastIndexByte(path, '/')+1:])
	if m == nil {
		return ""
	}
	return m[1]
}

func (o *output) existsError(what string) error {
	choice := "set if_exists: append, replace or replace_partitions (error is the default), or another path"
	if o.file != "" {
		choice = "set if_exists: replace (error is the default), or another path"
	}
	return &Error{Op: "open", Path: o.shown, Err: fmt.Errorf("%w: %s", ErrExists, what), Hint: choice}
}

// dataFiles lists the visible files of the output's format, relative and sorted,
// in the directory and in col=value directories below it, or in all below it.
func (o *output) dataFiles() ([]string, error) {
	var found []string
	err := filepath.WalkDir(o.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == o.dir {
			return nil
		}
		hidden := strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_")
		if e.IsDir() {
			if hidden || !o.anyDir && !strings.Contains(e.Name(), "=") {
				return fs.SkipDir
			}
			return nil
		}
		if hidden || !strings.HasSuffix(e.Name(), o.ext) {
			return nil
		}
		rel, err := filepath.Rel(o.dir, path)
		if err == nil {
			found = append(found, filepath.ToSlash(rel))
		}
		return err
	})
	return found, err
}
