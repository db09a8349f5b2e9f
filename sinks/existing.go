package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/frame/partition"
)

// checkExisting applies if_exists before anything is computed: a run of an hour
// must not find out at its end that it may not write. It returns the files that
// runs published and did not commit before they died.
func (o *output) checkExisting(ctx context.Context, limited bool) (uncommitted []string, err error) {
	switch {
	case o.file == "":
		uncommitted, err = o.checkDirectory(ctx)
	case !o.resume: // else Resume knows whose the file is
		err = o.checkFile(ctx)
	}
	if err == nil {
		err = o.checkTimes()
	}
	if err != nil {
		return nil, err
	}
	if limited && o.complete {
		return nil, &Error{
			Op: "open", Path: o.shown,
			Err:  fmt.Errorf("%w: it is complete, and a run of the first rows (--limit) would replace it", ErrExists),
			Hint: "give that run another path: path: ${out:" + o.shown + "} and -v out=try",
		}
	}
	return uncommitted, nil
}

func (o *output) checkFile(ctx context.Context) error {
	size, err := o.place.size(ctx, o.file)
	switch {
	case errors.Is(err, errIsDirectory):
		return &Error{Op: "open", Path: o.shown, Err: fmt.Errorf("it is a directory, and the extension %s asks for a file", o.ext)}
	case err != nil && o.place.remote() && !errors.Is(err, fs.ErrNotExist):
		return failed("read", o.shown, err)
	case err != nil:
		return nil // it is to be made; where it cannot be, that says why
	case o.kind == existsError:
		return o.existsError("the file is there already")
	}
	if o.old == nil && size > 0 {
		return &Error{
			Op: "replace", Path: o.shown,
			Err:  fmt.Errorf("rpipe did not write it: %w", ErrExists),
			Hint: "move it away, or set another path",
		}
	}
	o.there = map[string]int64{o.file: size}
	partial := o.old != nil && len(o.old.Files) == 1 && o.old.Files[0].Partial && o.old.Files[0].Bytes == size
	o.complete = !partial
	return nil
}

var errIsDirectory = errors.New("it is a directory")

func (o *output) checkDirectory(ctx context.Context) (uncommitted []string, err error) {
	if o.there, err = o.place.list(ctx, o.isData); err != nil {
		return nil, failed("read", o.shown, err)
	}
	named := map[string]bool{}
	if o.old != nil {
		if err := o.dropMissing(ctx); err != nil {
			return nil, err
		}
		for _, f := range o.old.Files {
			named[f.Path] = true
		}
	}
	var foreign []string
	o.strays = nil
	for _, path := range sortedKeys(o.there) {
		switch run := runOf(path); {
		case named[path], o.old.retires(path):
		case run == "":
			foreign = append(foreign, path)
		case run == o.run && o.again == "" || run == o.run && o.resume: // before a restart
		case run == o.run: // of an attempt that left nothing on record
			uncommitted = append(uncommitted, path)
		case o.died(run):
			uncommitted = append(uncommitted, path)
		default:
			o.strays = append(o.strays, path)
		}
	}
	known := len(named)
	if o.kind == existsError {
		switch {
		case known > 0:
			return nil, o.existsError(fmt.Sprintf("it holds %d files of run %s (%s)", known, o.old.Run, o.old.Created.Format("2006-01-02 15:04")))
		case len(o.strays) > 0:
			return nil, o.existsError(fmt.Sprintf("it holds files of a run that did not finish, such as %s", o.strays[0]))
		case len(foreign) > 0:
			return nil, o.existsError(fmt.Sprintf("it holds %s", foreign[0]))
		}
		return uncommitted, nil
	}
	if o.kind != existsReplace {
		if err := o.checkBeside(known); err != nil {
			return nil, err
		}
	}
	if o.kind == existsAppend {
		o.complete = known > 0 && slices.ContainsFunc(o.old.Files, func(f manifestFile) bool { return o.ofTime(f) && !f.Partial })
		return uncommitted, nil
	}
	if len(foreign) > 0 {
		return nil, &Error{
			Op: "replace", Path: o.shown,
			Err:  fmt.Errorf("%s is not a file that rpipe wrote there: %w", foreign[0], ErrExists),
			Hint: "only files named in " + partition.Manifest + " are deleted: move the others away, or set another path",
		}
	}
	o.complete = len(o.strays) > 0 || known > 0 && slices.ContainsFunc(o.old.Files, func(f manifestFile) bool { return !f.Partial })
	return uncommitted, nil
}

// dropMissing forgets the files of the manifest that somebody has removed.
func (o *output) dropMissing(ctx context.Context) error {
	m := *o.old
	m.Files = nil
	for _, f := range o.old.Files {
		if _, ok := o.there[f.Path]; !ok { // it may be of another format
			if _, err := o.place.size(ctx, f.Path); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return failed("read", o.shown, err)
			}
		}
		m.Files = append(m.Files, f)
	}
	o.old = &m
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
func (o *output) removeUncommitted(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return nil
	}
	if o.place.remote() && !o.before.Released {
		if err := o.shutOut(ctx); err != nil {
			return err
		}
	}
	if err := o.place.remove(ctx, files); err != nil {
		return failed("delete a file that is not committed of", o.shown, err)
	}
	o.log.Info("removed files that a run published and did not commit before it died",
		"files", len(files), "run", o.before.Run, "path", o.place.root())
	return nil
}

// shutOut changes the manifest, so that the process that had the place and may be
// alive cannot commit the files that are about to go.
func (o *output) shutOut(ctx context.Context) error {
	m := manifest{Version: manifestVersion, Format: o.format, Created: o.me.Since, Partial: true, Schema: []manifestColumn{}, Files: []manifestFile{}}
	if o.base != nil {
		m = *o.base
	}
	m.Taken = o.me.Session
	_, err := o.writeManifest(ctx, &m)
	o.announced = err == nil || o.announced // so that Abort restores it
	return err
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

// inOutput reports whether a path stands where this output has its files: another
// one may be below the same directory.
func (o *output) inOutput(path string) bool {
	for i := range len(path) {
		if path[i] == '/' && !o.isData(path[:i], true) {
			return false
		}
	}
	return o.isData(path, false)
}

// isData reports whether a path is a visible file of the output's format, in the
// top directory or in col=value directories below it, or in all below it; and
// whether a directory may hold such.
func (o *output) isData(path string, dir bool) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "_"):
		return false
	case dir:
		return o.anyDir || strings.Contains(name, "=")
	}
	return strings.HasSuffix(name, o.ext)
}
