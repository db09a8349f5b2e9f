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
// To another place, the default on S3: the sink's own commit, with the manifest last. The files
// that were read stay.
//
// Exchange, on a local file system of Linux: the new directory is built beside
// the old one under a hidden name, with everything else that was in it, forced
// to disk, and exchanged with it by one system call. Nobody who lists the
// directory sees a moment between. The old one is removed then.
//
// Beside, elsewhere and where it is asked for: new files appear beside the old ones, then the manifest
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
	"errors"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
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
		return nil, wrap(o.Path, err)
	}
	if j.how == ToPlace {
		err = j.copyTo(ctx)
	} else {
		err = j.inPlace(ctx)
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx) // which says who stopped it
	}
	if err != nil {
		return nil, wrap(o.Path, err)
	}
	j.report.Elapsed = time.Since(j.start)
	return &j.report, nil
}

// Error says what could not be compacted, why, and how to mend it.
type Error struct {
	Path string
	Err  error
	Hint string

	Usage bool // the options are at fault
}

func (e *Error) Error() string {
	text := fmt.Sprintf("compact %s: %v", e.Path, e.Err)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// misused marks an error of the options.
func misused(err error) error {
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		own.Usage = true
		return err
	}
	return &Error{Err: err, Usage: true}
}

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
