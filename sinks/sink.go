// Package sinks writes frames to files and to standard output, and makes a
// file visible only when it is complete.
//
// A sink is a config struct that is also the component: package configs decodes
// YAML into it, Open turns it into a Writer for one run. Table lists them.
//
// # Files and commit
//
// The file sinks (parquet, csv, ndjson, rds) share one machine and differ in
// their format alone. A part is written in the output directory under a hidden
// temporary name, .<name>.tmp-<run>, which the sources' globs do not match.
// Prepare closes and fsyncs the parts of an epoch and returns their checksums;
// Publish renames them without ever replacing a file, and fsyncs the
// directories; Finish commits: it writes _manifest.json and does what if_exists
// says of older files; Abort removes whatever is not committed, published or
// not. Between Prepare and Publish a caller may record the parts in a journal:
// Publish takes them from there after a crash and counts what is already done as
// done.
//
// On S3 a part is an upload to its final key, which is nothing before Publish
// completes it. What stands for the lock there is a lease: see lease.
//
// A part is called <run>-<epoch>-<part>-<nonce>.<ext>. With partition_by it
// stands in col=value directories as Hive, Spark, DuckDB and Arrow read them.
//
// A path with the format's own extension (out/delays.parquet) means one file of
// just that name. Anything else is a directory.
//
// While a run is open it holds .rpipe.lock in the output directory, so that no
// other run writes there. The next run removes what a run that died or was
// suspended has left: temporary files and uploads, and files that it published
// and did not commit, where the lock still names that run and the manifest does
// not name the files. The same run may go on instead: see Resumer.
//
// # What a second run does
//
// if_exists: error refuses a directory that holds data files. append adds to
// them. replace puts the new files in place, writes a manifest that names both
// lists, then deletes the old files. replace_partitions does so for the
// partitions that this run wrote. Files are deleted only where a manifest or
// their own name shows that rpipe wrote them; a directory with other data files
// is refused when the run starts, and so is, but for replace, one with files
// that a run of rpipe wrote and no manifest names.
//
// A run that did not read all of its input marks its files as partial in the
// manifest. It replaces nothing that is not marked so.
package sinks

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// Sink is a configured output, as YAML names it under sink.
type Sink interface {
	// Open prepares for a run: it checks that the place can be written and what
	// if_exists says of what is there. It makes nothing visible.
	Open(ctx context.Context, env *stages.Env) (Writer, error)
}

// Writer takes the frames of one run. One goroutine uses it. Files come to be
// under temporary names; Publish, after Prepare, makes them visible.
type Writer interface {
	// Write adds a batch to the open parts of its epoch.
	Write(ctx context.Context, b *stages.Rows) error
	// Prepare closes the parts of an epoch and forces them to stable storage.
	Prepare(ctx context.Context, epoch uint64) ([]Part, error)
	// Publish makes prepared parts visible: rename, fsync of the directory. It
	// may be repeated.
	Publish(ctx context.Context, parts []Part) error
	// Finish ends a run that succeeded or drained: it writes the manifest and
	// applies if_exists (old files of a replace go). complete says that the run
	// has read all of its input. After an error with ErrCommitted in its chain
	// the output is there all the same.
	Finish(ctx context.Context, complete bool) error
	// Abort removes everything that Finish has not committed. It may follow any
	// call, and be repeated.
	Abort() error
}

// Resumer is implemented by the writers of files, which a later process can go
// on with. A journal keeps what Prepare and State return.
type Resumer interface {
	// Resume, right after Open, tells the writer of a run that goes on which
	// parts earlier processes have prepared, published or not, and what State
	// said then. They stay; everything else of that run is removed: files,
	// uploads. Publish of such parts makes visible those that are not.
	Resume(ctx context.Context, parts []Part, state json.RawMessage) error
	// State is what Resume must know beside the parts, such as the columns. It
	// may be called between Write and Finish, after Prepare.
	State() (json.RawMessage, error)
	// Announce names in the manifest what is published so far, as partial, and
	// goes on. What if_exists replaces stays until Finish.
	Announce(ctx context.Context) error
	// Suspend ends the writer like Abort, but keeps the parts that Prepare has
	// returned and those that Resume was given, for a later process.
	Suspend() error
}

// Single is implemented by the writers of files, and by their sinks.
type Single interface {
	// OneEpoch reports whether the output is one file, which takes no rows of a
	// second epoch: such a run commits once, at its end.
	OneEpoch() bool
}

// Replacer is implemented by the writers of sinks that can replace output.
type Replacer interface {
	// ReplacesComplete reports whether Finish would remove output of a run that
	// read all of its input. A run that does not must not get there.
	ReplacesComplete() bool
}

// Part is one file of the output. Paths are relative to the sink's root and
// slash-separated. It is JSON in the manifest and in the journal.
type Part struct {
	Path      string            `json:"path"`
	Temp      string            `json:"temp,omitempty"` // its name until it is published
	Rows      int64             `json:"rows"`
	Bytes     int64             `json:"bytes"`
	SHA256    string            `json:"sha256"`
	Partition map[string]string `json:"partition,omitempty"`
	Epoch     uint64            `json:"epoch"`
	Upload    *store.Pending    `json:"upload,omitempty"` // on S3: what completes it
	Created   time.Time         `json:"created"`
}
