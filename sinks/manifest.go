package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/internal/failpoint"
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
	// Retired are files in whose place a compaction has put others, which the
	// manifest names. They stay for a while: see Retirer.
	Retired []retiredFile `json:"retired,omitempty"`
	// Taken stands here while a run writes that took a place on S3 from one that
	// had files there and may be alive: what that one knew of the manifest is old.
	Taken string `json:"taken,omitempty"`

	times []string // of the parts that add names
}

type manifestColumn struct {
	Name string `json:"name"`
	Type string `json:"type"` // as frame.TypeName writes it
}

type manifestFile struct {
	Part
	Run     string `json:"run"`
	Partial bool   `json:"partial,omitempty"` // the run did not read all of its input
	// Scheduled are the times of a schedule that the rows are for, or the id of a run by
	// hand: one, or, where files were put together, several. A run for one of them
	// takes its place.
	Scheduled []string `json:"scheduled,omitempty"`
}

const manifestVersion = 1

// manifestFile is hidden beside a single file: who asks for one file sees one.
func (o *output) manifestFile() string {
	if o.file != "" {
		return "." + o.file + ".manifest.json"
	}
	return partition.Manifest
}

// shownPath is a file of the output in messages.
func (o *output) shownPath(name string) string {
	if o.place.remote() {
		return o.place.root() + "/" + name
	}
	return filepath.Join(o.place.root(), name)
}

func (o *output) readManifest(ctx context.Context) (*manifest, error) {
	b, err := o.place.load(ctx, o.manifestFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	path := o.shownPath(o.manifestFile())
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
		if !local(f.Path) {
			return nil, &Error{Op: "read", Path: path, Err: fmt.Errorf("it names %q, which is outside of the directory", f.Path)}
		}
	}
	for _, p := range append(m.retiredPaths(), m.Replaces...) {
		if !local(p) {
			return nil, &Error{Op: "read", Path: path, Err: fmt.Errorf("it names %q, which is outside of the directory", p)}
		}
	}
	return m, nil
}

// local reports whether a slash-separated path stays inside of the place.
func local(path string) bool { return filepath.IsLocal(filepath.FromSlash(path)) }

// writeManifest replaces the manifest at once or not at all. After an error
// replaced tells whether the new one is there nevertheless.
func (o *output) writeManifest(ctx context.Context, m *manifest) (replaced bool, err error) {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return false, fmt.Errorf("sink: encode the manifest: %w", err)
	}
	replaced, err = o.place.save(ctx, o.manifestFile(), append(b, '\n'))
	failpoint.Hit("manifest")
	return replaced, failed("write the manifest of", o.shown, err)
}

// sum makes the totals those of the files.
func (m *manifest) sum() {
	m.Rows, m.Bytes, m.Partial = 0, 0, false
	for _, f := range m.Files {
		m.Rows += f.Rows
		m.Bytes += f.Bytes
		m.Partial = m.Partial || f.Partial
	}
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
