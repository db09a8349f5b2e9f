package sinks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// publish renames parts to their names and forces the names to stable storage.
func (o *output) publish(parts []Part) error {
	dirs := map[string]bool{}
	for _, d := range o.made {
		dirs[filepath.Dir(d)] = true // a new directory is a name in its parent
	}
	for _, p := range parts {
		for _, rel := range []string{p.Path, p.Temp} {
			if !filepath.IsLocal(filepath.FromSlash(rel)) {
				return &Error{Op: "publish", Path: o.shown, Err: fmt.Errorf("part %q is outside of the directory", rel)}
			}
		}
		for d := filepath.Dir(o.abs(p.Path)); ; d = filepath.Dir(d) {
			dirs[d] = true
			if d == o.dir || len(d) < len(o.dir) {
				break
			}
		}
		if err := os.MkdirAll(filepath.Dir(o.abs(p.Path)), 0o755); err != nil {
			return failed("publish to", o.shown, err)
		}
		if err := o.show(p); err != nil {
			return failed("publish to", o.shown, err)
		}
	}
	for d := range maps.Keys(dirs) {
		if err := syncDir(d); err != nil {
			return failed("publish to", o.shown, err)
		}
	}
	return nil
}

// show makes one part visible, or finds that it is.
func (o *output) show(p Part) error {
	from, to := o.abs(p.Temp), o.abs(p.Path)
	if o.file != "" && o.kind == existsReplace {
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrNotExist) {
			return same(to, p)
		}
		return err
	}
	err := moveNew(from, to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return same(to, p) // published before
	case errors.Is(err, fs.ErrExist):
		if err := same(to, p); err != nil {
			return err
		}
		return os.Remove(from)
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
// the next run deletes it.
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
		for _, path := range o.strays {
			if written[dirOf(path)] {
				m.Replaces = append(m.Replaces, path)
			}
		}
	}
	if m.Files == nil {
		m.Files = []manifestFile{}
	}
	for _, p := range parts {
		p.Temp = ""
		m.Files = append(m.Files, manifestFile{Part: p, Run: m.Run})
	}
	for _, f := range m.Files {
		m.Rows += f.Rows
		m.Bytes += f.Bytes
	}
	if err := o.writeManifest(m); err != nil {
		return err
	}
	o.old = m
	return o.finishReplace()
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
		for d := dirOf(rel); d != ""; d = dirOf(d) {
			if os.Remove(o.abs(d)) != nil {
				break // not empty
			}
		}
	}
	o.old.Replaces = nil
	return o.writeManifest(o.old)
}

// dirOf is the directory of a slash-separated relative path; "" at the top.
func dirOf(rel string) string {
	i := strings.LastIndexByte(rel, '/')
	return rel[:max(i, 0)]
}
