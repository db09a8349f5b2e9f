package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// CommittedFile is a file that the manifest of an output names.
type CommittedFile struct {
	Part
	Run       string   // that wrote it
	Partial   bool     // the run did not read all of its input
	Scheduled []string // times of a schedule that its rows are for
}

// Committed are the files of a sink's output, as its manifest names them, and where they
// are. There are none before the first run has finished, and of what is no file. It takes
// no lock and changes nothing.
func Committed(ctx context.Context, s Sink, env *stages.Env) (root string, files []CommittedFile, err error) {
	at, single := pathOf(s)
	if at == "" {
		return "", nil, nil
	}
	root = strings.TrimSuffix(at, "/")
	if !store.IsURL(root) && !filepath.IsAbs(root) {
		root = filepath.Join(env.Dir, root)
	}
	dir, name := root, partition.Manifest
	if single {
		dir, name = filepath.Dir(root), "."+filepath.Base(root)+".manifest.json"
		if store.IsURL(root) {
			dir, name = root[:strings.LastIndexByte(root, '/')], "."+path.Base(root)+".manifest.json"
		}
	}
	b, err := readBeside(ctx, env, dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrNotExist):
		return root, nil, nil
	case err != nil:
		return root, nil, failed("read the manifest of", at, err)
	}
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil || m.Version != manifestVersion {
		return root, nil, &Error{Op: "read", Path: at, Err: fmt.Errorf("its %s is none that this rpipe wrote", name)}
	}
	for _, f := range m.Files {
		files = append(files, CommittedFile(f))
	}
	return root, files, nil
}

// pathOf is the path of a sink, and whether it is one file; "" for one without.
func pathOf(s Sink) (path string, single bool) {
	switch s := s.(type) {
	case *Parquet:
		return s.Path, s.OneEpoch()
	case *CSV:
		return s.Path, s.OneEpoch()
	case *NDJSON:
		return s.Path, s.OneEpoch()
	case *RDS:
		return s.Path, s.OneEpoch()
	}
	return "", false
}
