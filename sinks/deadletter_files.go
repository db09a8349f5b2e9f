package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// DeadFile is a file of a dead letter.
type DeadFile struct {
	Part
	Run       string   // that wrote it
	File      string   // where it is, as a source opens it
	Scheduled []string // times of a schedule that its rows are for
}

// Stage is the label of the stage that the rows entered when they failed.
func (f *DeadFile) Stage() string { return f.Partition["stage"] }

// Raw reports whether it holds the texts of records that never became rows.
func (f *DeadFile) Raw() bool { return f.Partition["schema"] == "raw" }

// Dir is its directory in the dead letter: its files have the same columns.
func (f *DeadFile) Dir() string { return dirOf(f.Path) }

// ErrNoDeadLetter says that there is no dead letter: no row has failed, or it is
// somewhere else.
var ErrNoDeadLetter = errors.New("there is no dead letter: no row has failed, or it is in another place")

// Files are those of the runs that finished, as the manifest names them. It takes
// no lock and changes nothing.
func (d *DeadLetter) Files(ctx context.Context, env *stages.Env) ([]DeadFile, error) {
	root := strings.TrimSuffix(d.Path, "/")
	if !store.IsURL(root) && !filepath.IsAbs(root) {
		root = filepath.Join(env.Dir, root)
	}
	b, err := readBeside(ctx, env, root, partition.Manifest)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrNotExist):
		return nil, &Error{Op: "read", Path: d.Path, Err: ErrNoDeadLetter}
	case err != nil:
		return nil, failed("read", d.Path, err)
	}
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil || m.Version != manifestVersion || m.Format != "parquet" {
		return nil, &Error{Op: "read", Path: d.Path, Err: fmt.Errorf("its %s is none of a dead letter", partition.Manifest)}
	}
	var files []DeadFile
	for _, f := range m.Files {
		if f.Partition["stage"] == "" && f.Partition["schema"] == "" {
			return nil, &Error{Op: "read", Path: d.Path, Err: errors.New("it is the output of a run, and no dead letter")}
		}
		files = append(files, DeadFile{Part: f.Part, Run: f.Run, File: root + "/" + f.Path, Scheduled: f.Scheduled})
	}
	return files, nil
}

// readBeside reads a small file of a directory or prefix.
func readBeside(ctx context.Context, env *stages.Env, root, name string) ([]byte, error) {
	if !store.IsURL(root) {
		return os.ReadFile(filepath.Join(root, name))
	}
	if env.S3 == nil {
		return nil, errors.New("there is no S3 here")
	}
	at, err := store.Parse(root + "/" + name)
	if err != nil {
		return nil, err
	}
	b, _, err := env.S3.Get(ctx, at, maxManifest)
	return b, err
}

const maxManifest = 256 << 20

// Retire makes Finish take files out of the dead letter, in the same step in
// which the rows of this run come to be in it.
func (w *DeadLetterWriter) Retire(paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retired = paths
}

// Keep writes rows of a file that Retire names and that stay, just as they stand
// there. They do not count as rejected.
func (w *DeadLetterWriter) Keep(ctx context.Context, epoch uint64, of *DeadFile, f frame.Frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	e, err := w.files.parts.epoch(epoch)
	if err != nil {
		return &Error{Op: "write dead letter", Path: w.files.out.shown, Err: err}
	}
	return w.files.parts.add(e, piece{dir: of.Dir(), values: of.Partition, frame: f})
}

// finishRetiring is Finish where files are taken out.
func (w *DeadLetterWriter) finishRetiring(ctx context.Context) error {
	return w.files.Retire(ctx, w.retired, time.Now())
}

// ofTime are the files with rows of earlier runs for this run's scheduled time, in
// whose place its own come.
func (w *DeadLetterWriter) ofTime() (paths []string) {
	if w.files.out.old == nil {
		return nil
	}
	for _, f := range w.files.out.old.Files {
		if w.files.out.ofTime(f) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}
