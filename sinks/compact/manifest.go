package compact

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/sinks"
)

// manifest is _manifest.json as the sinks write it. What this package does not
// know of it is kept as it is.
type manifest struct {
	Version     int       `json:"version"`
	Format      string    `json:"format"`
	Pipeline    string    `json:"pipeline,omitempty"`
	Run         string    `json:"run"`
	Created     time.Time `json:"created"`
	Partial     bool      `json:"partial,omitempty"`
	Rows        int64     `json:"rows"`
	Bytes       int64     `json:"bytes"`
	PartitionBy []string  `json:"partition_by,omitempty"`
	Schema      []column  `json:"schema"`
	Files       []entry   `json:"files"`
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type entry struct {
	sinks.Part
	Run     string `json:"run"`
	Partial bool   `json:"partial,omitempty"`
	// Scheduled are the times that the rows are for.
	Scheduled []string `json:"scheduled,omitempty"`
}

// parseManifest reads the manifest of a Parquet output.
func parseManifest(b []byte) (*manifest, error) {
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, &Error{Err: fmt.Errorf("_manifest.json: %w", err), Hint: "it is not a manifest that rpipe wrote: move it away and name another place with to"}
	}
	if m.Version != 1 {
		return nil, &Error{Err: fmt.Errorf("_manifest.json has version %d, which is not known", m.Version), Hint: "a newer rpipe wrote it: use that one"}
	}
	if m.Format != "parquet" {
		return nil, &Error{Err: fmt.Errorf("it holds %s files", m.Format), Hint: "only Parquet files are compacted; a pipeline can read these and write Parquet"}
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return nil, fmt.Errorf("_manifest.json names %q, which is outside of the directory", f.Path)
		}
	}
	return m, nil
}

// after is the manifest once parts have taken the place of the retired files.
func (m *manifest) after(run string, retired map[string]bool, parts []sinks.Part, schema *schema) *manifest {
	n := *m
	n.Run, n.Created, n.Schema = run, time.Now().UTC().Truncate(time.Second), schema.columns()
	n.Files = slices.DeleteFunc(slices.Clone(m.Files), func(f entry) bool { return retired[f.Path] })
	partial := map[string]bool{} // directories of which rows are of runs that were stopped
	times := map[string][]string{}
	for _, f := range m.Files {
		if retired[f.Path] {
			dir := dirOf(f.Path)
			partial[dir] = partial[dir] || f.Partial
			times[dir] = append(times[dir], f.Scheduled...)
		}
	}
	for dir, all := range times {
		slices.Sort(all)
		times[dir] = slices.Compact(all)
	}
	for _, p := range parts {
		p.Temp, p.Upload = "", nil
		n.Files = append(n.Files, entry{Part: p, Run: run, Partial: partial[dirOf(p.Path)], Scheduled: times[dirOf(p.Path)]})
	}
	n.Rows, n.Bytes, n.Partial = 0, 0, false
	for _, f := range n.Files {
		n.Rows += f.Rows
		n.Bytes += f.Bytes
		n.Partial = n.Partial || f.Partial
	}
	return &n
}

// merged puts the manifest over the JSON of the one of before, of which fields
// that this package does not know stay.
func (m *manifest) merged(before []byte) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(before, &fields); err != nil {
		return nil, err
	}
	now := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &now); err != nil {
		return nil, err
	}
	delete(fields, "partial")
	for k, v := range now {
		fields[k] = v
	}
	b, err = json.MarshalIndent(fields, "", "  ")
	return append(b, '\n'), err
}
