package sinks

import (
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/store"
)

// Files are the keys that every file sink has: how rows are divided into files,
// and what happens to the files that are there.
type Files struct {
	PartitionBy  []string     `yaml:"partition_by" doc:"Columns whose values divide the rows into col=value directories, row by row; they are left out of the files."`
	RowsPerFile  int64        `yaml:"rows_per_file" min:"0" doc:"Rows after which the next file begins; 0 is no limit."`
	BytesPerFile configs.Size `yaml:"bytes_per_file" min:"0" doc:"Bytes after which the next file begins; a file may exceed it by one batch or row group; 0 is no limit."`
	MaxOpen      int          `yaml:"max_open_partitions" default:"64" min:"1" doc:"Files that may be open at once; beyond it the largest is closed and its partition goes on in another file. On S3 open files hold what is not sent yet, up to 10 MiB each; where all of them together would hold more than a tenth of memory, the largest is closed earlier."`
	IfExists     string       `yaml:"if_exists" default:"error" enum:"error|append|replace|replace_partitions" doc:"What to do where the path holds output already: refuse, add to it, or replace all of it or the partitions that are written. A run that was stopped or that has --limit replaces nothing but output of such runs."`

	adds bool // Appending made it: what is there may not be replaced
}

// What if_exists may be.
const (
	existsError             = "error"
	existsAppend            = "append"
	existsReplace           = "replace"
	existsReplacePartitions = "replace_partitions"
)

// defaultMaxOpen is max_open_partitions where a config made in Go says nothing.
const defaultMaxOpen = 64

// layout is Files with the path they go to.
type layout struct {
	path   string
	anyDir bool // files may stand in directories of any name, not only col=value
	Files
}

func (f Files) layout(path string) layout { return layout{path: path, Files: f} }

// single reports whether the path names one file with extension ext.
func (l *layout) single(ext string) bool {
	return strings.HasSuffix(l.path, ext) && !strings.HasSuffix(l.path, "/"+ext) && l.path != ext
}

// check reports what is wrong with a layout for files with extension ext.
func (l *layout) check(ext string, report func(field, message, hint string)) {
	seen := map[string]bool{}
	for _, c := range l.PartitionBy {
		if c == "" {
			report("partition_by", "holds an empty column name", "")
		}
		if seen[c] {
			report("partition_by", "names column "+c+" twice", "")
		}
		seen[c] = true
	}
	if l.IfExists == existsReplacePartitions && len(l.PartitionBy) == 0 {
		report("if_exists", "replace_partitions needs partition_by", "use replace, or name the partition columns")
	}
	if store.IsURL(l.path) {
		if _, err := store.Parse(l.path); err != nil {
			report("path", err.Error(), "")
			return
		}
	}
	if !l.single(ext) {
		if other := foreignExtension(l.path, ext); other != "" {
			report("path", "ends in "+other+", and this sink writes "+ext, "name a directory, or a file that ends in "+ext)
		}
		return
	}
	one := "a path that ends in " + ext + " is one file: name a directory instead"
	if l.RowsPerFile > 0 {
		report("rows_per_file", "does not go with a single file", one)
	}
	if l.BytesPerFile > 0 {
		report("bytes_per_file", "does not go with a single file", one)
	}
	if len(l.PartitionBy) > 0 {
		report("partition_by", "does not go with a single file", one)
	}
	if l.IfExists == existsAppend {
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

// Refuses reports whether a second run would be refused, since if_exists says so or
// nothing.
func (f Files) Refuses() bool { return f.IfExists == existsError || f.IfExists == "" }

// Replaces reports whether the output of before may have to go.
func (f Files) Replaces() bool {
	return f.IfExists == existsReplace || f.IfExists == existsReplacePartitions
}
