// Package sources reads the input of a pipeline as frames: CSV, NDJSON, Parquet
// and RDS files on disk and on S3, the records of web APIs, a range of numbers,
// rows written in the pipeline file.
//
// A source is its config: the exported struct (CSV, Parquet, ...) that the YAML
// is decoded into implements [Source]. Open finds the files, settles the schema
// and returns a [Reader], whose frames come in the order of the input whatever
// is parsed in parallel behind it. Memory is bounded by the number of frames
// read ahead, not by the size of the input.
//
// Every read carries a position, and the records before it that are no rows. A
// position given to Open continues after that read, in a later process too,
// provided that the files are the same: files are taken in the order of their
// names, and cuts between reads depend on the content alone. A reader that is an
// [Identifier] tells whether they are. Of an API nobody knows but the user.
package sources

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Source is a configured input, as YAML names it under source.
type Source interface {
	// Open starts reading after the position from ("" is the start). It finds
	// the files, infers or checks the schema, and returns errors that name the
	// file, line and column, and how to mend them. The context is for the
	// opening alone; the reader lives until Close.
	Open(ctx context.Context, env *stages.Env, from string) (Reader, error)
}

// Reader yields the frames of one source, in order. One goroutine uses it; it
// may read ahead in goroutines of its own, which Close waits for.
type Reader interface {
	// Schema is the schema of every frame; nil where it is not known before the
	// first read. Frames of all reads have one schema either way.
	Schema() *frame.Schema
	// Size is what there is to read, as far as is known at the start: for
	// progress and ETA. Zero is unknown.
	Size() Size
	// Next returns the next read, or io.EOF. Frames have up to frame.Rows rows,
	// and at least one but where the read has Rejected records, or a Cursor says
	// that it may be saved. After an error it returns the same error again, except
	// that the end of ctx leaves the reader as it was.
	Next(ctx context.Context) (*Read, error)
	// Close stops reading ahead and releases everything.
	Close() error
	// Traits says what the source can promise.
	Traits() Traits
}

// Size is the extent of an input.
type Size struct {
	Rows  int64 `json:"rows"`  // 0 is unknown
	Bytes int64 `json:"bytes"` // compressed bytes on disk; 0 is unknown
}

// Read is one frame and where the source stands after it.
type Read struct {
	Frame frame.Frame
	Bytes int64  // input bytes consumed for it (compressed, as Size counts them)
	Pos   string // opaque position after it, for Open
	// Rejected are records that came before or among its rows and never became
	// rows: bad lines, with on_error skip or dead_letter. The frame may then have
	// no rows. The run gives them the epoch of the read, so that a position and
	// what was rejected before it commit together.
	Rejected []*stages.Rejected
}

// Traits says what a source can promise.
type Traits struct {
	Ordered    bool // the same rows come in the same order each time
	Replayable bool // Open can start at any Pos that Next returned
}

// Endless is implemented by sources whose input may have no end.
type Endless interface {
	// Endless reports whether the input, as it is configured, may go on for ever.
	Endless() bool
}

// Identifier is implemented by readers that can tell whether their input has
// changed since an earlier run.
type Identifier interface {
	// Identity names each piece of the input and its version: a path with size
	// and modification time, an object with its ETag.
	Identity() map[string]string
}

// Cursor is implemented by readers of inputs that grow, of which a later run
// reads only what is new.
type Cursor interface {
	// Cursor is the state to save once everything that was read is committed,
	// for StartFrom of a later run; "" is none.
	Cursor() string
}

// Incremental is implemented by sources that have a Cursor.
type Incremental interface {
	// StartFrom is called before Open with what the last run has saved; "" is nothing.
	StartFrom(cursor string)
	// Incremental reports whether a cursor is configured.
	Incremental() bool
	// CheckCursor reports what is wrong with a cursor that a person gives. saved
	// is what a run has left; "" is nothing.
	CheckCursor(cursor, saved string) error
}
