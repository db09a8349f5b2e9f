package sinks

import (
	"io"

	"github.com/rpipe-dev/rpipe/frame"
)

// format is a kind of file. Everything else (partitions, limits, names, commit)
// is the same for all of them and lives in fileWriter.
type format interface {
	// name is the sink's key in YAML.
	name() string
	// ext is the extension of its files with the dot, such as .csv.gz.
	ext() string
	// chunk is how much one partition gathers before it is encoded: rows and
	// bytes of frames. Zero rows means that nothing is gathered.
	chunk() (rows, bytes int64)
	// open begins a file of schema s. The frames of the first chunk are given so
	// that encodings can be chosen by them; open does not write them.
	open(w io.Writer, s *frame.Schema, first []frame.Frame) (encoder, error)
}

// encoder writes one file. One goroutine uses it.
type encoder interface {
	encode(frames []frame.Frame) error
	// size is how many bytes the file has so far, as far as is known.
	size() int64
	// close writes what ends the file. It leaves the underlying file open.
	close() error
}
