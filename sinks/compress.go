package sinks

import (
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressions maps the names of text compression to their extensions.
var compressions = map[string]string{"none": "", "gzip": ".gz", "zstd": ".zst"}

// textFile finds extension and compression of text files. A path that ends in
// one of bases, with or without .gz or .zst, is one file: its name decides.
// Elsewhere the first of bases and the compression that was asked for do.
func textFile(path string, bases []string, compression string) (ext, codec string) {
	for codec, suffix := range compressions {
		for _, base := range bases {
			if strings.HasSuffix(path, base+suffix) {
				return base + suffix, codec
			}
		}
	}
	if compression == "" || compression == "auto" {
		compression = "none"
	}
	return bases[0] + compressions[compression], compression
}

// checkTextFile reports a file name that contradicts the compression.
func checkTextFile(path string, bases []string, compression string, report func(field, message, hint string)) (ext string) {
	ext, codec := textFile(path, bases, compression)
	if compression != "" && compression != "auto" && compression != codec {
		report("compression", "is "+compression+", and the path ends in "+ext, "leave compression out: the name decides")
	}
	return ext
}

// newCompressor wraps w. Close ends the stream and leaves w open.
func newCompressor(w io.Writer, codec string) (io.WriteCloser, error) {
	switch codec {
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.DefaultCompression)
	case "zstd":
		// The default window takes tens of MB for each open file.
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	}
	return plainWriter{w}, nil
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

// textWriter is what the text encoders share: a buffer, the compressor and the
// count of what came out of it.
type textWriter struct {
	out *countWriter
	z   io.WriteCloser
	buf []byte
}

// textBuffer is how much text is gathered before it is compressed or written.
const textBuffer = 64 << 10

func newTextWriter(w io.Writer, codec string) (*textWriter, error) {
	t := &textWriter{out: &countWriter{w: w}}
	var err error
	t.z, err = newCompressor(t.out, codec)
	return t, err
}

// flushOver writes the buffer out once it holds more than n bytes.
func (t *textWriter) flushOver(n int) error {
	if len(t.buf) <= n {
		return nil
	}
	_, err := t.z.Write(t.buf)
	t.buf = t.buf[:0]
	return err
}

func (t *textWriter) size() int64 { return t.out.n + int64(len(t.buf)) }

func (t *textWriter) close() error {
	if err := t.flushOver(0); err != nil {
		return err
	}
	return t.z.Close()
}
