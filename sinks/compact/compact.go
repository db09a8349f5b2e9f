// Package compact makes many small Parquet files of an output into few large
// ones. It serves the compact block of the Parquet sink and rpipe compact.
//
// Files are merged within their directory, so that partitions stay what they
// are. The result has every column that any of the files had, NULL where a file
// did not have it, with the types widened as frame.Unify does and the metadata
// of rpipe and of Arrow kept. Rows keep their order unless Sort says otherwise.
// Memory is bounded: frames of a few files, one row group, and what DuckDB may
// take where rows are sorted.
//
// Rows and missing values are counted in what is read and once more in what was
// written; where they differ nothing is published.
//
// # Three ways to publish
//
// To another place: the sink's own commit, with the manifest last. The files
// that were read stay.
//
// In place, on a local file system of Linux: the new directory is built beside
// the old one under a hidden name, with everything else that was in it, forced
// to disk, and exchanged with it by one system call. Nobody who lists the
// directory sees a moment between. The old one is removed then.
//
// In place elsewhere: new files appear beside the old ones, then the manifest
// names the new ones alone, and the old ones are removed after Grace. Who reads
// by the manifest sees every row once at every moment; who lists the directory
// sees rows twice until the old files are gone.
//
// In place the lock of the output is held, so that no run writes meanwhile. A
// process that dies at whatever moment leaves the old output or the new one
// whole; what else it left is removed by the next compaction or run there.
package compact

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// Options say what to compact and how.
type Options struct {
	// Env says Pipeline, Dir, Parallel, Memory, Log and S3; nothing else of it is used.
	Env *stages.Env
	// Run is the id of this compaction, which no run has had before; "" draws one.
	Run string
	// Path is the directory or s3:// prefix of an output.
	Path string

	sinks.Compaction

	Compression string         // of the files that are made, as the Parquet sink has it; "" is zstd
	RowGroup    sinks.RowGroup // of the files that are made; zero is the sink's default
	Replace     bool           // To may hold output, which is replaced
	DryRun      bool           // look and report, change nothing
	// Progress is called often while files are read and written, if it is set,
	// from one goroutine at a time.
	Progress func(Progress)
}

// How a compaction publishes.
const (
	ToPlace  = "new place" // to another directory or prefix
	Exchange = "exchange"  // the directory is exchanged as a whole
	Beside   = "beside"    // new files beside the old ones, which go later
)

// Run compacts. It returns a report also where there was nothing to do. After an
// error, or the end of ctx, the output is what it was before.
func Run(ctx context.Context, o Options) (*Report, error) {
	j, err := newJob(o)
	if err != nil {
		return nil, err
	}
	if j.how == ToPlace {
		err = j.copyTo(ctx)
	} else {
		err = j.inPlace(ctx)
	}
	if err != nil {
		return nil, wrap(o.Path, err)
	}
	j.report.Elapsed = time.Since(j.start)
	return &j.report, nil
}

// job is one compaction.
type job struct {
	Options
	env    *stages.Env
	place  place
	how    string
	start  time.Time
	report Report

	manifest *manifest // nil where the output has none
	inputs   []*input
	schema   *schema
	dirs     []*directory
	seen     Progress
}

func newJob(o Options) (*job, error) {
	j := &job{Options: o, env: detached(o.Env, ""), start: time.Now()}
	if j.env.Run = o.Run; j.env.Run == "" {
		j.env.Run = newRun(j.start)
	}
	if j.env.Log == nil {
		j.env.Log = slog.New(slog.DiscardHandler)
	}
	if j.TargetSize <= 0 {
		j.TargetSize = sinks.DefaultTargetSize
	}
	if j.AfterFiles < 2 {
		j.AfterFiles = sinks.DefaultAfterFiles
	}
	if j.Compression == "" {
		j.Compression = "zstd"
	}
	if err := checkSort(j.Sort); err != nil {
		return nil, err
	}
	var err error
	if j.place, err = placeOf(j.env, o.Path); err != nil {
		return nil, wrap(o.Path, err)
	}
	switch {
	case j.To != "":
		j.how = ToPlace
	case store.IsURL(j.Path) && !j.InPlace:
		j.how, j.To = ToPlace, strings.TrimRight(j.Path, "/")+"-compacted"
	default:
		j.how = Exchange
	}
	if j.how == ToPlace && within(absolute(j.env, j.To), absolute(j.env, j.Path)) {
		return nil, wrap(o.Path, &Error{Err: fmt.Errorf("%s is the same place, or inside of it", j.To), Hint: "name another one, or leave to out to compact in place"})
	}
	j.report = Report{Path: j.Path, To: j.To, How: j.how, DryRun: j.DryRun}
	return j, nil
}

// newRun names a compaction as runs are named: its start in UTC and four random
// bytes. Files are named after it, and so come after those of the runs before.
func newRun(start time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it does not fail: see crypto/rand
	return start.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(b[:])
}

// absolute is a path as it is compared with others.
func absolute(env *stages.Env, p string) string {
	if store.IsURL(p) {
		return strings.TrimRight(p, "/")
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(env.Dir, p)
	}
	if real, err := filepath.EvalSymlinks(p); err == nil {
		p = real
	}
	return filepath.ToSlash(filepath.Clean(p))
}

// within reports whether p is dir or below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimRight(dir, "/")+"/")
}

// dirOf is the directory of a slash-separated relative path; "" at the top.
func dirOf(rel string) string {
	if d := path.Dir(rel); d != "." {
		return d
	}
	return ""
}

// Error says what could not be compacted, why, and how to mend it.
type Error struct {
	Path string
	Err  error
	Hint string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("compact %s: %v", e.Path, e.Err)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// wrap names the output in an error that does not.
func wrap(path string, err error) error {
	var own *Error
	if errors.As(err, &own) && own.Path == "" {
		own.Path = path
		return err
	}
	if errors.As(err, &own) {
		return err
	}
	return &Error{Path: path, Err: err}
}
