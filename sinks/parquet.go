package sinks

import (
	"context"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/lz4"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/zstd"

	zstdlib "github.com/klauspost/compress/zstd"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Parquet writes Parquet files that any reader understands. What R knows of a
// column and Parquet does not say (levels of a factor, a time zone's name, the
// unit of a difftime) stands in the file's metadata under MetadataKey.
type Parquet struct {
	Path        string   `yaml:"path" required:"true" doc:"A directory for the files, or one file where it ends in .parquet; on disk, or on S3 as s3://bucket/prefix."`
	Compression string   `yaml:"compression" default:"zstd" enum:"zstd|snappy|gzip|lz4|none" doc:"How pages are compressed."`
	Level       int      `yaml:"level" min:"0" doc:"Compression level: 1 to 22 for zstd (default 3), 1 to 9 for gzip (default 6); the others have none."`
	RowGroup    RowGroup `yaml:"row_group" doc:"Limits of one row group, which is also what is held in memory for an open file."`

	Compact *Compaction `yaml:"compact" doc:"Makes few large files of many small ones, once the run is committed. A run that was stopped compacts nothing."`

	Files `yaml:",inline"`
}

// RowGroup limits a row group; whichever comes first ends it.
type RowGroup struct {
	Rows  int64        `yaml:"rows" default:"100000" min:"1" doc:"Rows of one row group."`
	Bytes configs.Size `yaml:"bytes" default:"64MiB" min:"1" doc:"Bytes of one row group in memory, before encoding and compression."`
}

const (
	defaultGroupRows  = 100_000
	defaultGroupBytes = 64 << 20
)

// Open implements Sink.
func (p *Parquet) Open(ctx context.Context, env *stages.Env) (Writer, error) {
	return openFiles(ctx, env, p.layout(p.Path), newParquetFormat(p, max(env.Parallel, 1), env.Pace))
}

// OneEpoch implements Single.
func (p *Parquet) OneEpoch() bool {
	l := p.layout(p.Path)
	return l.single(".parquet")
}

// Check implements configs.Checker.
func (p *Parquet) Check(report func(field, message, hint string)) {
	l := p.layout(p.Path)
	l.check(".parquet", report)
	checkLevel(p.Compression, p.Level, report)
	if p.Compact != nil {
		p.Compact.check(p, report)
	}
}

// checkLevel reports a level that the compression does not have.
func checkLevel(compression string, level int, report func(field, message, hint string)) {
	most := map[string]int{"": 22, "zstd": 22, "gzip": 9}[compression]
	switch {
	case level == 0:
	case most == 0:
		report("level", "compression "+compression+" has no levels", "leave it out, or use zstd or gzip")
	case level < 0 || level > most:
		report("level", "is outside of what "+compression+" has", "1 to 22 for zstd, 1 to 9 for gzip")
	}
}

// parquetFormat implements format.
type parquetFormat struct {
	config   *Parquet
	parallel int
	pace     func() *stages.Pace // of one goroutine that encodes
	codec    compress.Codec      // of all files: it keeps its encoders for the next
}

func newParquetFormat(p *Parquet, parallel int, pace func() *stages.Pace) *parquetFormat {
	return &parquetFormat{config: p, parallel: parallel, pace: pace, codec: parquetCodec(p.Compression, p.Level)}
}

func (p *parquetFormat) name() string { return "parquet" }
func (p *parquetFormat) ext() string  { return ".parquet" }

func (p *parquetFormat) chunk() (rows, bytes int64) {
	rows, bytes = p.config.RowGroup.Rows, int64(p.config.RowGroup.Bytes)
	if rows <= 0 {
		rows = defaultGroupRows
	}
	if bytes <= 0 {
		bytes = defaultGroupBytes
	}
	return rows, bytes
}

func parquetCodec(compression string, level int) compress.Codec {
	switch compression {
	case "none":
		return &parquet.Uncompressed
	case "snappy":
		return &snappy.Codec{}
	case "lz4":
		return &lz4.Codec{}
	case "gzip":
		if level == 0 {
			level = gzip.DefaultCompression
		}
		return &gzip.Codec{Level: level}
	}
	if level == 0 {
		return &zstd.Codec{}
	}
	return &zstd.Codec{Level: zstdlib.EncoderLevelFromZstd(level)}
}

func (p *parquetFormat) open(w io.Writer, s *frame.Schema, first []frame.Frame) (encoder, error) {
	return newParquetEncoder(w, s, first, p)
}
