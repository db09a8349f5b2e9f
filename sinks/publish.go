package sinks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// publish renames parts to their names and forces the names to stable storage.
func (o *output) publish(parts []Part) error {
	for _, p := range parts {
		for _, rel := range []string{p.Path, p.Temp} {
			if !filepath.IsLocal(filepath.FromSlash(rel)) {
				return &Error{Op: "publish", Path: o.shown, Err: fmt.Errorf("part %q is outside of the directory", rel)}
			}
		}
	}
	if err := o.makeDirs(parts); err != nil {
		return err
	}
	if err := o.lock.sync(); err != nil {
		return failed("publish to", o.shown, err)
	}
	dirs := map[string]bool{}
	for _, d := range o.made {
		dirs[filepath.Dir(d)] = true // a new directory is a name in its parent
	}
	for _, p := range parts {
		for d := dirOf(p.Path); ; d = dirOf(d) {
			dirs[o.abs(d)] = true
			if d == "" {
				break
			}
		}
		if err := o.show(p); err != nil {
			return failed("publish to", o.shown, err)
		}
	}
	return o.syncDirs(dirs)
}

func (o *output) syncDirs(dirs map[string]bool) error {
	for d := range dirs {
		if err := syncDir(d); err != nil {
			return failed("publish to", o.shown, err)
		}
	}
	return nil
}

// show makes one part visible, or finds that it is.
func (o *output) show(p Part) error {
	from, to := o.abs(p.Temp), o.abs(p.Path)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		if err := same(to, p); err != nil {
			return err
		}
		if o.file == "" { // the name shows that this run published it, before a restart
			o.nowVisible(p.Path)
		}
		return nil
	}
	if o.file != "" && o.kind == existsReplace {
		return o.replaceFile(from, to)
	}
	err := moveNew(from, to)
	if errors.Is(err, fs.ErrExist) {
		if err := same(to, p); err != nil {
			return err
		}
		return os.Remove(from)
	}
	if err == nil {
		o.nowVisible(p.Path)
	}
	return err
}

// same compares a file that is there with what the part says of it, as it was
// written: a checksum computed anew from the temporary file would prove nothing.
func same(path string, p Part) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("neither %s nor its temporary file is there: it was removed from outside", p.Path)
	}
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

// finish writes the manifest of the run's parts. What a replace retires is named
// in it first and deleted then, so that a crash in between leaves nothing twice:
// the next run deletes it. An error with ErrCommitted in its chain came after
// the manifest.
func (o *output) finish(m *manifest, parts []Part) error {
	fresh := map[string]bool{}
	for _, p := range parts {
		fresh[p.Path] = true
	}
	var old []manifestFile
	if o.old != nil {
		old = slices.DeleteFunc(slices.Clone(o.old.Files), func(f manifestFile) bool { return fresh[f.Path] })
	}
	switch o.kind {
	case existsAppend:
		m.Files = old
	case existsReplace:
		for _, f := range old {
			m.Replaces = append(m.Replaces, f.Path)
		}
		m.Replaces = append(m.Replaces, o.strays...)
	case existsReplacePartitions:
		written := map[string]bool{}
		for _, p := range parts {
			written[dirOf(p.Path)] = true
		}
		for _, f := range old {
			if written[dirOf(f.Path)] {
				m.Replaces = append(m.Replaces, f.Path)
			} else {
				m.Files = append(m.Files, f)
			}
		}
	}
	if m.Files == nil {
		m.Files = []manifestFile{}
	}
	for _, p := range parts {
		p.Temp = ""
		m.Files = append(m.Files, manifestFile{Part: p, Run: m.Run, Partial: m.Partial})
	}
	for _, f := range m.Files {
		m.Rows += f.Rows
		m.Bytes += f.Bytes
		m.Partial = m.Partial || f.Partial
	}
	replaced, err := o.writeManifest(m)
	if !replaced {
		return err
	}
	o.committed, o.previous, o.old = true, o.old, m
	if err == nil {
		err = o.finishReplace()
	}
	if err != nil {
		return fmt.Errorf("%w; then: %w", ErrCommitted, err)
	}
	return nil
}

// finishReplace deletes what the manifest says is replaced.
func (o *output) finishReplace() error {
	if o.old == nil || len(o.old.Replaces) == 0 {
		return nil
	}
	for _, rel := range o.old.Replaces {
		if err := os.Remove(o.abs(rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed("delete a replaced file of", o.shown, err)
		}
		o.prune(dirOf(rel))
	}
	o.old.Replaces = nil
	_, err := o.writeManifest(o.old)
	return err
}

// dirOf is the directory of a slash-separated relative path; "" at the top.
func dirOf(rel string) string {
	i := strings.LastIndexByte(rel, '/')
	return rel[:max(i, 0)]
}
