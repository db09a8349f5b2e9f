package sinks

import (
	"context"
	"io"
)

// place is where an output is kept: a directory, or a prefix of a bucket. Paths
// in it are relative and slash-separated. What is the same for all places stands
// in output: names of parts, if_exists, what the manifest says.
//
// One goroutine uses a place, but for the seals of its bodies.
type place interface {
	// root is what paths are relative to, as a reader opens it.
	root() string
	// remote reports whether a process that lost the place may be alive, and
	// whether what is published cannot be put back: so it is on S3.
	remote() bool
	// take makes the place this run's own, and returns who had it and did not let
	// go, or left something. Where another has it, the error has ErrLocked in its
	// chain.
	take(ctx context.Context, me owner) (before owner, err error)
	// holds fails with ErrFenced in its chain where the place is another's by now.
	holds(ctx context.Context) error
	// leave lets go of the place. With left, the next to take it is told of left.
	// It may be repeated.
	leave(ctx context.Context, left *owner) error

	// buffer is how many bytes of memory an open body may hold; 0 is hardly any.
	// How many it does hold says held.
	buffer() int64
	// interrupt ends the writes that wait: nothing that is open can be sealed then.
	// It may be called by any goroutine.
	interrupt()
	// checkDir finds out, before rows are gathered for it, that a partition's
	// directory cannot be made.
	checkDir(dir string) error
	// begin begins the content of a part.
	begin(p *Part) (body, error)
	// settle ends Prepare: it makes sure that sealed parts are found again.
	settle(parts []Part) error
	// publish makes parts visible, or finds that they are, and tells shown of
	// each. A file that is there stays, but for replace.
	publish(ctx context.Context, parts []Part, replace bool, shown func(path string)) error
	// takeBack makes what publish has shown invisible again.
	takeBack(ctx context.Context, paths []string) error
	// sweep drops what is not published, and returns what it keeps by id.
	sweep(ctx context.Context, drop func(l leftover) bool) (dropped int, kept map[string]bool, err error)
	// abortListed aborts what is begun and not on record, as far as it can be found.
	abortListed(ctx context.Context, drop func(path, id string) bool) (dropped int)
	// putBack puts the single file of before in its place, which a run that is dead
	// has renamed another over.
	putBack(run string) error

	// list yields files and their sizes, in the directories that are wanted.
	list(ctx context.Context, wanted func(path string, dir bool) bool) (map[string]int64, error)
	// size is that of one file; the error has fs.ErrNotExist in its chain where
	// there is none.
	size(ctx context.Context, path string) (int64, error)
	// remove removes published files. Those that are not there count as removed.
	remove(ctx context.Context, paths []string) error
	// load reads a small file, as size does.
	load(ctx context.Context, name string) ([]byte, error)
	// save replaces a small file at once or not at all. After an error saved tells
	// whether the new one is there nevertheless.
	save(ctx context.Context, name string, data []byte) (saved bool, err error)
}

// body is the content of a part that is being written.
type body interface {
	io.Writer
	// seal forces what was written to stable storage, and puts into p what
	// Publish needs. Bodies may be sealed at once by several goroutines.
	seal(p *Part) error
	// held is how many bytes of memory it holds.
	held() int64
	// discard removes it. It may follow any call, and be repeated.
	discard(ctx context.Context)
}

// leftover is something that is not published: a temporary file or an upload.
type leftover struct {
	run  string // fit for a file name
	name string // of the file that it was to be, without directories
	id   string // Part.Temp, or the upload's id
}
