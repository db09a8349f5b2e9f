package sinks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
)

// manifest is _manifest.json: the files of the runs that finished.
type manifest struct {
	Version     int              `json:"version"`
	Format      string           `json:"format"`
	Pipeline    string           `json:"pipeline,omitempty"`
	Run         string           `json:"run"` // the last one
	Created     time.Time        `json:"created"`
	Partial     bool             `json:"partial,omitempty"` // some files are of runs that were stopped or limited
	Rows        int64            `json:"rows"`
	Bytes       int64            `json:"bytes"`
	PartitionBy []string         `json:"partition_by,omitempty"`
	Schema      []manifestColumn `json:"schema"`
	Files       []manifestFile   `json:"files"`
	// Replaces are files that a replace has yet to delete. They stand here only
	// between the commit of the new files and the removal of the old.
	Replaces []string `json:"replaces,omitempty"`
}

type manifestColumn struct {
	Name string `json:"name"`
	Type string `json:"type"` // as frame.TypeName writes it
}

type manifestFile struct {
	Part
	Run     string `json:"run"`
	Partial bool   `json:"partial,omitempty"` // the run did not read all of its input
}

const manifestVersion = 1

func (m *manifest) names(path string) bool {
	for _, f := range m.Files {
		if f.Path == path {
			return true
		}
	}
	return false
}

// manifestFile is hidden beside a single file: who asks for one file sees one.
func (o *output) manifestFile() string {
	if o.file != "" {
		return "." + o.file + ".manifest.json"
	}
	return partition.Manifest
}

func (o *output) readManifest() (*manifest, error) {
	path := o.abs(o.manifestFile())
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("read", path, err)
	}
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, &Error{Op: "read", Path: path, Err: err, Hint: "it is not a manifest that rpipe wrote: move it away"}
	}
	if m.Version != manifestVersion {
		return nil, &Error{Op: "read", Path: path, Err: fmt.Errorf("version %d is not known", m.Version), Hint: "a newer rpipe wrote it: use that one"}
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return nil, &Error{Op: "read", Path: path, Err: fmt.Errorf("it names %q, which is outside of the directory", f.Path)}
		}
	}
	for _, p := range m.Replaces {
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return nil, &Error{Op: "read", Path: path, Err: fmt.Errorf("it names %q, which is outside of the directory", p)}
		}
	}
	return m, nil
}

// writeManifest replaces the manifest at once or not at all. After an error
// replaced tells whether the new one is there nevertheless.
func (o *output) writeManifest(m *manifest) (replaced bool, err error) {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return false, fmt.Errorf("sink: encode the manifest: %w", err)
	}
	name := o.manifestFile()
	temp := o.abs("." + name + ".tmp-" + o.run)
	os.Remove(temp) // of an attempt before this one
	f, err := o.create(temp)
	if err != nil {
		return false, failed("write the manifest of", o.shown, err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp, o.abs(name))
	}
	if err != nil {
		os.Remove(temp)
		return false, failed("write the manifest of", o.shown, err)
	}
	return true, failed("write the manifest of", o.shown, syncDir(o.dir))
}

func columnsOf(s *frame.Schema) []manifestColumn {
	columns := []manifestColumn{}
	if s == nil {
		return columns
	}
	for _, f := range s.Fields() {
		columns = append(columns, manifestColumn{Name: f.Name, Type: frame.TypeName(f)})
	}
	return columns
}
