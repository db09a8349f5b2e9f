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
func (o *output) checkExisting() error {
	if o.file != "" {
		st, err := os.Stat(o.abs(o.file))
		if err == nil && st.IsDir() {
			return &Error{Op: "open", Path: o.shown, Err: fmt.Errorf("it is a directory, and the extension %s asks for a file", o.ext)}
		}
		if err == nil && o.kind == existsError {
			return o.existsError("the file is there already")
		}
		return nil
	}
	found, err := o.dataFiles()
	if err != nil {
		return failed("read", o.shown, err)
	}
	var foreign []string
	for _, path := range found {
		m := partPattern.FindStringSubmatch(path[strings.LastIndexByte(path, '/')+1:])
		switch {
		case o.old != nil && o.old.names(path):
		case m != nil && m[1] == o.run: // this run's own, before a restart
		case m != nil:
			o.strays = append(o.strays, path)
		default:
			foreign = append(foreign, path)
		}
	}
	known := 0
	if o.old != nil {
		o.old.Files = slices.DeleteFunc(o.old.Files, func(f manifestFile) bool {
			_, err := os.Lstat(o.abs(f.Path))
			return errors.Is(err, fs.ErrNotExist)
		})
		known = len(o.old.Files)
	}
	switch o.kind {
	case existsError:
		switch {
		case known > 0:
			return o.existsError(fmt.Sprintf("it holds %d files of run %s (%s)", known, o.old.Run, o.old.Created.Format("2006-01-02 15:04")))
		case len(o.strays) > 0:
			return o.existsError(fmt.Sprintf("it holds files of a run that did not finish, such as %s", o.strays[0]))
		case len(foreign) > 0:
			return o.existsError(fmt.Sprintf("it holds %s", foreign[0]))
		}
	case existsAppend, existsReplacePartitions:
		if known > 0 && o.old.Format != o.format {
			return &Error{
				Op: "open", Path: o.shown,
				Err:  fmt.Errorf("it holds %d files of format %s, and this sink writes %s: a reader takes all of them or none", known, o.old.Format, o.format),
				Hint: "set if_exists: replace, or another path",
			}
		}
	}
	switch o.kind {
	case existsReplace, existsReplacePartitions:
		if len(foreign) > 0 {
			return &Error{
				Op: "replace", Path: o.shown,
				Err:  fmt.Errorf("%s is not a file that rpipe wrote there: %w", foreign[0], ErrExists),
				Hint: "only files named in " + partition.Manifest + " are deleted: move the others away, or set another path",
			}
		}
	}
	return nil
}

func (o *output) existsError(what string) error {
	choice := "set if_exists: append, replace or replace_partitions (error is the default), or another path"
	if o.file != "" {
		choice = "set if_exists: replace (error is the default), or another path"
	}
	return &Error{Op: "open", Path: o.shown, Err: fmt.Errorf("%w: %s", ErrExists, what), Hint: choice}
}

// dataFiles lists the visible files of the output's format, relative and sorted,
// in the directory and in col=value directories below it.
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
			if hidden || !strings.Contains(e.Name(), "=") {
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
