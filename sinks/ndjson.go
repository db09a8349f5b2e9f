package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// NDJSON writes one JSON object a line, in UTF-8. Times are ISO 8601 strings,
// binary is base64, nested JSON is put in as it is.
type NDJSON struct {
	Path        string `yaml:"path" required:"true" doc:"A directory for the files, or one file where it ends in .ndjson, .jsonl or .json, with .gz or .zst behind it where compressed; on disk, or on S3 as s3://bucket/prefix."`
	Nulls       string `yaml:"nulls" default:"keep" enum:"keep|drop" doc:"Whether a missing value is written as null or its key left out."`
	NaN         string `yaml:"nan" default:"null" enum:"null|string" doc:"What becomes of NaN and infinity, which JSON does not have: null, or the strings NaN, Inf and -Inf."`
	Compression string `yaml:"compression" default:"auto" enum:"auto|none|gzip|zstd" doc:"Compression of whole files; auto goes by the extension of path."`

	Files `yaml:",inline"`
}

var ndjsonBases = []string{".ndjson", ".jsonl", ".json"}

// Open implements Sink.
func (n *NDJSON) Open(ctx context.Context, env *stages.Env) (Writer, error) {
	f := &ndjsonFormat{drop: n.Nulls == "drop", nan: n.NaN == "string"}
	f.extension, f.codec = textFile(n.Path, ndjsonBases, n.Compression)
	return openFiles(ctx, env, n.layout(n.Path), f)
}

// OneEpoch implements Single.
func (n *NDJSON) OneEpoch() bool {
	ext, _ := textFile(n.Path, ndjsonBases, n.Compression)
	l := n.layout(n.Path)
	return l.single(ext)
}

// Check implements configs.Checker.
func (n *NDJSON) Check(report func(field, message, hint string)) {
	l := n.layout(n.Path)
	l.check(checkTextFile(n.Path, ndjsonBases, n.Compression, report), report)
}

// ndjsonFormat implements format.
type ndjsonFormat struct {
	extension, codec string
	drop, nan        bool
}

func (f *ndjsonFormat) name() string               { return "ndjson" }
func (f *ndjsonFormat) ext() string                { return f.extension }
func (f *ndjsonFormat) chunk() (rows, bytes int64) { return 0, 0 }

func (f *ndjsonFormat) open(w io.Writer, s *frame.Schema, _ []frame.Frame) (encoder, error) {
	t, err := newTextWriter(w, f.codec)
	if err != nil {
		return nil, err
	}
	e := &ndjsonEncoder{textWriter: t, drop: f.drop, nan: f.nan}
	for _, field := range s.Fields() {
		e.keys = append(e.keys, append(frame.AppendQuoted(nil, field.Name), ':'))
	}
	return e, nil
}

// ndjsonEncoder writes one file of JSON lines.
type ndjsonEncoder struct {
	*textWriter
	drop, nan bool
	keys      [][]byte // each with its colon
}

func (e *ndjsonEncoder) encode(frames []frame.Frame) error {
	for _, f := range frames {
		fields := f.Schema().Fields()
		for _, field := range fields {
			if frame.KindOf(field) == frame.KindOther {
				return noText(field)
			}
		}
		for i := range int(f.NumRows()) {
			e.buf = append(e.buf, '{')
			first := true
			for k, a := range f.Columns() {
				if e.drop && a.IsNull(i) {
					continue
				}
				if !first {
					e.buf = append(e.buf, ',')
				}
				first = false
				e.buf = append(e.buf, e.keys[k]...)
				e.value(fields[k], a, i)
			}
			e.buf = append(e.buf, '}', '\n')
			if err := e.flushOver(textBuffer); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *ndjsonEncoder) value(f arrow.Field, a arrow.Array, i int) {
	at := len(e.buf)
	if d, ok := a.(*array.Float64); ok && e.nan && d.IsValid(i) && (math.IsNaN(d.Value(i)) || math.IsInf(d.Value(i), 0)) {
		e.buf = append(e.buf, '"')
		e.buf = append(frame.AppendText(e.buf, a, i, frame.TextOptions{}), '"')
		return
	}
	e.buf = frame.AppendJSON(e.buf, f, a, i)
	if frame.KindOf(f) == frame.KindJSON && a.IsValid(i) {
		e.buf = inlineJSON(e.buf, at)
	}
}

// inlineJSON keeps dst[at:] where it is JSON, on one line. Text that claims to
// be JSON and is not becomes a string, so that the line can still be read.
func inlineJSON(dst []byte, at int) []byte {
	text := dst[at:]
	if !json.Valid(text) {
		return frame.AppendQuoted(dst[:at], string(text))
	}
	if !bytes.ContainsAny(text, "\r\n") {
		return dst
	}
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return dst
	}
	return append(dst[:at], b.Bytes()...)
}
