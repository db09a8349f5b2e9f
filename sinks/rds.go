package sinks

import (
	"context"
	"fmt"
	"io"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/stages"
)

// RDS writes one data.frame a file, as R's readRDS reads it. The format holds a
// vector in one piece, so that a file's rows are held in memory until its end:
// max_bytes bounds them, and bytes_per_file counts them as they are there.
type RDS struct {
	Path        string       `yaml:"path" required:"true" doc:"A directory for the files, or one file where it ends in .rds; on disk, or on S3 as s3://bucket/prefix."`
	Compression string       `yaml:"compression" default:"gzip" enum:"gzip|bzip2|xz|none" doc:"How files are compressed; readRDS reads all of them."`
	Int64       string       `yaml:"int64" default:"double" enum:"double|integer64" doc:"How 64 bit integers are written: as double (beyond 2^53 is an error) or as integer64 of package bit64."`
	MaxBytes    configs.Size `yaml:"max_bytes" default:"512MiB" min:"1" doc:"Bytes of rows that may be held in memory, over all open files; more is an error that says to set rows_per_file."`

	Files `yaml:",inline"`
}

const defaultMaxBytes = 512 << 20

// Open implements Sink.
func (r *RDS) Open(ctx context.Context, env *stages.Env) (Writer, error) {
	f := &rdsFormat{max: int64(r.MaxBytes), options: frame.ROptions{}}
	if f.max <= 0 {
		f.max = defaultMaxBytes
	}
	if r.Int64 == "integer64" {
		f.options.Int64 = frame.Int64Bit64
	}
	switch r.Compression {
	case "none":
		f.codec = rdata.None
	case "bzip2":
		f.codec = rdata.Bzip2
	case "xz":
		f.codec = rdata.XZ
	default:
		f.codec = rdata.Gzip
	}
	return openFiles(ctx, env, r.layout(r.Path), f)
}

// OneEpoch implements Single.
func (r *RDS) OneEpoch() bool {
	l := r.layout(r.Path)
	return l.single(".rds")
}

// Check implements configs.Checker.
func (r *RDS) Check(report func(field, message, hint string)) {
	l := r.layout(r.Path)
	l.check(".rds", report)
}

// rdsFormat implements format.
type rdsFormat struct {
	max     int64
	held    int64 // over all open files
	options frame.ROptions
	codec   rdata.Compression
}

func (f *rdsFormat) name() string               { return "rds" }
func (f *rdsFormat) ext() string                { return ".rds" }
func (f *rdsFormat) chunk() (rows, bytes int64) { return 0, 0 }

func (f *rdsFormat) open(w io.Writer, s *frame.Schema, _ []frame.Frame) (encoder, error) {
	return &rdsEncoder{w: w, format: f, schema: s}, nil
}

// rdsEncoder gathers the rows of one file.
type rdsEncoder struct {
	w      io.Writer
	format *rdsFormat
	schema *frame.Schema
	frames []frame.Frame
	bytes  int64
}

func (e *rdsEncoder) encode(frames []frame.Frame) error {
	for _, f := range frames {
		n := frame.Bytes(f)
		e.bytes += n
		e.format.held += n
	}
	if e.format.held > e.format.max {
		return fmt.Errorf("the rows of open .rds files take %d bytes, and max_bytes is %d: set rows_per_file, raise max_bytes, or write Parquet", e.format.held, e.format.max)
	}
	e.frames = append(e.frames, frames...)
	return nil
}

func (e *rdsEncoder) size() int64 { return e.bytes }

func (e *rdsEncoder) close() error {
	all := frame.Empty(e.schema)
	if len(e.frames) > 0 {
		var err error
		if all, err = frame.Concat(e.frames...); err != nil {
			return err
		}
		e.frames = nil
		e.format.held -= e.bytes
	}
	b, err := frame.AppendR(rdata.AppendHeader(nil), all, e.format.options)
	if err != nil {
		return err
	}
	z, err := rdata.Compress(e.w, e.format.codec)
	if err != nil {
		return err
	}
	if _, err := z.Write(b); err != nil {
		return err
	}
	return z.Close()
}
