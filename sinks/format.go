package sinks

import (
	"io"
	"strings"

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

// layout is what the YAML of every file sink says of files and directories.
type layout struct {
	path         string
	ifExists     string // error, append, replace, replace_partitions
	rowsPerFile  int64  // 0 is no limit
	bytesPerFile int64  // 0 is no limit
	partitionBy  []string
	maxOpen      int // files open at once
}

// What if_exists may be.
const (
	existsError             = "error"
	existsAppend            = "append"
	existsReplace           = "replace"
	existsReplacePartitions = "replace_partitions"
)

// defaultMaxOpen is max_open_partitions where the config says nothing.
const defaultMaxOpen = 64

// check reports what is wrong with a layout for files with extension ext.
func (l *layout) check(ext string, report func(field, message, hint string)) {
	if l.rowsPerFile < 0 {
		report("rows_per_file", "must not be negative", "leave it out for no limit")
	}
	if l.bytesPerFile < 0 {
		report("bytes_per_file", "must not be negative", "leave it out for no limit")
	}
	if l.maxOpen < 0 {
		report("max_open_partitions", "must be at least 1", "leave it out for 64")
	}
	seen := map[string]bool{}
	for _, c := range l.partitionBy {
		if c == "" {
			report("partition_by", "holds an empty column name", "")
		}
		if seen[c] {
			report("partition_by", "names column "+c+" twice", "")
		}
		seen[c] = true
	}
	if l.ifExists == existsReplacePartitions && len(l.partitionBy) == 0 {
		report("if_exists", "replace_partitions needs partition_by", "use replace, or name the partition columns")
	}
	if !l.single(ext) {
		if other := foreignExtension(l.path, ext); other != "" {
			report("path", "ends in "+other+", and this sink writes "+ext, "name a directory, or a file that ends in "+ext)
		}
		return
	}
	one := "a path that ends in " + ext + " is one file: name a directory instead"
	if l.rowsPerFile > 0 {
		report("rows_per_file", "does not go with a single file", one)
	}
	if l.bytesPerFile > 0 {
		report("bytes_per_file", "does not go with a single file", one)
	}
	if len(l.partitionBy) > 0 {
		report("partition_by", "does not go with a single file", one)
	}
	if l.ifExists == existsAppend {
		report("if_exists", "append does not go with a single file", one)
	}
}

// foreignExtension is the extension of path where it is that of a file of
// another format: such a directory would mislead everyone.
func foreignExtension(path, ext string) string {
	for _, other := range []string{".parquet", ".csv", ".tsv", ".ndjson", ".jsonl", ".json", ".rds", ".gz", ".zst"} {
		if other != ext && strings.HasSuffix(path, other) {
			return other
		}
	}
	return ""
}
