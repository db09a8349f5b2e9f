package sources

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/rpipe-dev/rpipe/frame/partition"
)

const (
	manifestName = partition.Manifest
	maxManifest  = 256 << 20 // bytes; it has some hundred for each file
)

// manifest is what _manifest.json says, as our sinks write it.
type manifest struct {
	Version int    `json:"version"`
	Format  string `json:"format"`
	Schema  []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"schema"`
	Files []struct {
		Path string `json:"path"`
	} `json:"files"`
	Replaces []string `json:"replaces"` // on their way out
	Retired  []struct {
		Path string `json:"path"`
	} `json:"retired"` // compacted: they stay for a while
	text []byte
}

// load reads the manifest. A file of that name that is none of ours says nothing.
func (r *root) load(ctx context.Context) error {
	r.manifest = nil
	b, err := r.read(ctx, manifestName)
	if err != nil || b == nil {
		return err
	}
	m := &manifest{text: b}
	if json.Unmarshal(b, m) != nil || m.Version < 1 || m.Format == "" {
		return nil
	}
	if m.Version > 1 {
		return fmt.Errorf("its %s is of version %d: a newer rpipe wrote it, use that one (manifest: off reads the files that are there)", manifestName, m.Version)
	}
	r.manifest = m
	return nil
}

// list gives the files of the directory: exactly those of its manifest where it
// has one, so that a run that commits or a compaction is seen whole or not at
// all. A manifest that is replaced while we look is read again.
func (r *root) list(ctx context.Context, s *search, log *slog.Logger, pattern string) ([]file, error) {
	if s.manifest == "off" {
		return r.files(ctx, "", s.wanted)
	}
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	for {
		there, err := r.files(ctx, "", s.wanted)
		if err != nil || r.manifest == nil {
			return there, err
		}
		m := r.manifest
		files, others, gone := m.pick(there, s.wanted)
		if len(gone) == 0 {
			if others > 0 && log != nil {
				log.Warn("files beside those of the manifest are not read; manifest: off reads all", "path", pattern, "files", others)
			}
			return files, nil
		}
		if err := r.load(ctx); err != nil {
			return nil, err
		}
		if r.manifest == nil || bytes.Equal(r.manifest.text, m.text) {
			return nil, fmt.Errorf("%d of the %d files that its %s names are gone, such as %s; manifest: off reads those that are there",
				len(gone), len(m.Files), manifestName, gone[0])
		}
	}
}

// pick takes the files that the manifest names, counts those beside it, and
// tells which are gone.
func (m *manifest) pick(there []file, want func(rel string) bool) (files []file, others int, gone []string) {
	leaving := map[string]bool{}
	for _, path := range m.Replaces {
		leaving[path] = true
	}
	for _, f := range m.Retired {
		leaving[f.Path] = true
	}
	missing := map[string]bool{}
	for _, f := range m.Files {
		missing[f.Path] = true
	}
	for _, f := range there {
		switch {
		case missing[f.rel]:
			delete(missing, f.rel)
			files = append(files, f)
		case !leaving[f.rel]:
			others++
		}
	}
	for _, f := range m.Files {
		if missing[f.Path] && want(f.Path) {
			gone = append(gone, f.Path)
		}
	}
	return files, others, gone
}
