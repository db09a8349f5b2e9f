package sources

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// input is one open text file: decompressed, and transcoded to UTF-8.
type input struct {
	file
	io.Reader
	ctx       context.Context
	raw       io.ReadCloser
	read      *counter // bytes read of the file
	offset    int64    // where the text starts in a plain file: after a byte order mark
	seeks     bool     // offsets in the text, plus offset, are offsets in the file, and it can be read from there
	live      bool     // rows are wanted as they come: see quiet
	closeText func() error
}

// counter counts the bytes that were read through it.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// openInput opens a file whose compression its first bytes tell. Reads end
// with the context's error when ctx ends. charset is a value of CSV.Encoding.
func openInput(ctx context.Context, f file, charset string) (*input, error) {
	raw, err := f.stream(ctx, 0)
	if err != nil {
		return nil, err
	}
	in := &input{file: f, ctx: ctx, raw: raw, read: &counter{r: raw}}
	if err := in.decode(charset); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// decode puts between the file and who reads it what its first bytes ask for.
func (in *input) decode(charset string) error {
	compressed := bufio.NewReaderSize(in.read, 1<<16)
	magic, err := compressed.Peek(6)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", in.name, cause(err))
	}
	text, closeText, err := decompress(compressed, magic)
	if err != nil {
		return fmt.Errorf("read %s: %w", in.name, in.explain(err))
	}
	in.closeText = closeText
	plain := text == io.Reader(compressed)

	decoded := compressed
	if !plain {
		decoded = bufio.NewReaderSize(text, 1<<16)
	}
	mark, err := decoded.Peek(3)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", in.name, in.explain(err))
	}
	in.Reader = decoded
	switch {
	case charset == "utf-8" && bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		decoded.Discard(3)
		in.offset = 3
	case charset == "utf-8" && (bytes.HasPrefix(mark, []byte("\xff\xfe")) || bytes.HasPrefix(mark, []byte("\xfe\xff"))):
		charset = "utf-16" // a byte order mark that UTF-8 text cannot begin with
		fallthrough
	case charset != "utf-8":
		plain = false
		in.Reader = transform.NewReader(decoded, charsets[charset].NewDecoder())
	}
	in.seeks = plain && in.version() != ""
	return nil
}

// close closes the file, in the middle of it as well.
func (in *input) close() {
	if in.closeText != nil {
		in.closeText()
	}
	in.raw.Close()
}

// charsets are the values of CSV.Encoding other than utf-8.
var charsets = map[string]encoding.Encoding{
	"latin1":       charmap.ISO8859_1,
	"windows-1252": charmap.Windows1252,
	"utf-16":       unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
}

// decompress wraps r by the magic bytes of its format; plain text returns r itself.
func decompress(r *bufio.Reader, magic []byte) (io.Reader, func() error, error) {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, func() error { z.Close(); return nil }, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(r), nil, nil
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		z, err := xz.NewReader(r)
		return z, nil, err
	}
	return r, nil, nil
}

// explain turns an error of reading or decompressing into one that a user
// understands. It has the offset in the file, not the name.
func (in *input) explain(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the compressed data ends early, at byte %d: the file is truncated", in.read.n.Load())
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrMagicMismatch):
		return fmt.Errorf("the compressed data is damaged near byte %d: %w", in.read.n.Load(), err)
	}
	return cause(err)
}

// seek goes to an offset of a file whose text begins there as it stands.
func (in *input) seek(offset int64) error {
	raw, err := in.stream(in.ctx, offset)
	if err != nil {
		return err
	}
	in.raw.Close()
	in.raw, in.read.r, in.Reader = raw, raw, in.read
	in.read.n.Store(offset)
	return nil
}
