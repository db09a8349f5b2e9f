package rdata

import (
	"bufio"
	"compress/bzip2"
	"fmt"
	"io"

	dsnet "github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/gzip"
	"github.com/ulikunitz/xz"
)

// Compression is how an .rds file is compressed.
type Compression int

// What saveRDS() writes, as its argument compress is FALSE, "gzip" (the
// default), "bzip2" or "xz".
const (
	None Compression = iota
	Gzip
	Bzip2
	XZ
)

var compressionNames = [...]string{None: "uncompressed", Gzip: "gzip", Bzip2: "bzip2", XZ: "xz"}

func (c Compression) String() string {
	if c >= 0 && int(c) < len(compressionNames) {
		return compressionNames[c]
	}
	return fmt.Sprintf("compression %d", int(c))
}

// magics are how compressed data begins.
var magics = [...]string{Gzip: "\x1f\x8b", Bzip2: "BZh", XZ: "\xfd7zXZ\x00"}

// Decompress finds out how r is compressed and returns what it decompresses to,
// r itself, buffered, where it is not.
func Decompress(r io.Reader) (io.Reader, Compression, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	start, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, None, err
	}
	c := None
	for i, m := range magics {
		if m != "" && len(start) >= len(m) && string(start[:len(m)]) == m {
			c = Compression(i)
		}
	}
	var z io.Reader = b
	switch c {
	case Gzip:
		z, err = gzip.NewReader(b)
	case Bzip2:
		z = bzip2.NewReader(b)
	case XZ:
		z, err = xz.NewReader(newXZGuard(b))
	default:
		err = nil
	}
	if err != nil {
		return nil, c, fmt.Errorf("rdata: %v data: %w", c, err)
	}
	return z, c, nil
}

// Compress returns a writer that compresses to w; closing it writes the end,
// and does not close w. The levels are those of saveRDS().
func Compress(w io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case None:
		return plain{w}, nil
	case Gzip:
		return gzip.NewWriterLevel(w, 6)
	case Bzip2:
		return dsnet.NewWriter(w, &dsnet.WriterConfig{Level: 9})
	case XZ:
		return xz.WriterConfig{DictCap: 8 << 20}.NewWriter(w)
	}
	return nil, fmt.Errorf("rdata: write: %v is unknown", c)
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }
