package sinks

import "github.com/rpipe-dev/rpipe/configs"

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
