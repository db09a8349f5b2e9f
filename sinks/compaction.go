package sinks

import (
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/store"
)

// Compaction is how many small Parquet files become few large ones: the compact
// block of the Parquet sink, and the flags of rpipe compact. Package compact
// does it.
type Compaction struct {
	TargetSize configs.Size     `yaml:"target_size" default:"256MiB" min:"1" doc:"Size of the files that are made; one may exceed it by a row group. Files of at least half of it stay as they are, unless sort is set, their columns are not all that there are, or their compression is another one."`
	AfterFiles int              `yaml:"after_files" default:"2" min:"2" doc:"How many files a directory must hold that would be merged; below that it is left alone."`
	Sort       []string         `yaml:"sort" doc:"Columns to sort the rows of each directory by; -column is descending. Missing values come last. All files of a directory are then written anew."`
	Level      int              `yaml:"level" min:"0" max:"22" doc:"Compression level of the files that are made; 0 is that of the sink."`
	To         string           `yaml:"to" doc:"Another directory or s3:// prefix to write the compacted files to, whose manifest comes last; path stays as it is. Without it a local directory is compacted in place, and s3://bucket/name goes to s3://bucket/name-compacted."`
	Publish    string           `yaml:"publish" default:"auto" enum:"auto|exchange|beside" doc:"How a place is compacted in place. exchange builds the directory anew and exchanges it as a whole, on local file systems of Linux: who lists it sees the old files or the new ones, and a reader that is in the middle of the old ones has to begin again. beside writes new files, then the manifest, and removes the old files after grace: a reader by the manifest is never disturbed, and who lists the place sees rows twice for that long. auto is exchange where it is possible, else beside; on S3 it is the copy that to describes."`
	Grace      configs.Duration `yaml:"grace" default:"1h" min:"0s" doc:"How long old files stay with publish: beside, for readers that have begun with the manifest of before. The first run or compaction after that time removes them."`
}

// TargetSize and AfterFiles where a config made in Go says nothing.
const (
	DefaultTargetSize = 256 << 20
	DefaultAfterFiles = 2
)

// check reports what a compact block cannot do with its sink.
func (c *Compaction) check(p *Parquet, report func(field, message, hint string)) {
	l := p.layout(p.Path)
	if l.single(".parquet") {
		report("compact", "is for directories of files, and path names one file", "leave compact out, or name a directory")
	}
	checkLevel(p.Compression, c.Level, func(field, message, hint string) { report("compact."+field, message, hint) })
	seen := map[string]bool{}
	for _, column := range c.Sort {
		name := strings.TrimPrefix(column, "-")
		if name == "" || seen[name] {
			report("compact.sort", "names a column twice, or none", "")
		}
		seen[name] = true
	}
	inPlace := c.Publish == "exchange" || c.Publish == "beside"
	switch {
	case c.To != "" && inPlace:
		report("compact.to", "names another place, and publish: "+c.Publish+" is for compacting in place", "leave one of them out")
	case c.To != "" && strings.TrimRight(c.To, "/") == strings.TrimRight(p.Path, "/"):
		report("compact.to", "is the sink's own path", "name another place, or leave it out to compact in place")
	case c.Publish == "exchange" && store.IsURL(p.Path):
		report("compact.publish", "cannot be exchange on S3", "use beside, or write to another prefix with to")
	}
}
