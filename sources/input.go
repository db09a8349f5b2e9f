package sources

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	io.Reader
	name   string
	read   *counter // bytes read from disk
	offset int64    // where the text starts in a plain file: after a byte order mark
	plain  bool     // offsets in the text, plus offset, are offsets in the file
	file   *os.File // nil for standard input
	close  func() error
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
	in := &input{name: f.name}
	var raw io.Reader
	closers := []func() error{}
	in.close = func() (err error) {
		for _, c := range closers {
			err = errors.Join(err, c())
		}
		return err
	}
	if f.path == "-" {
		raw = &pump{ctx: ctx, r: standardInput}
	} else {
		o, err := os.Open(f.path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.name, errors.Unwrap(err))
		}
		in.file = o
		stop := context.AfterFunc(ctx, func() { o.Close() }) // unblocks a read from a pipe
		closers = append(closers, func() error { stop(); o.Close(); return nil })
		raw = o
	}
	in.read = &counter{r: raw}

	compressed := bufio.NewReaderSize(in.read, 1<<16)
	magic, err := compressed.Peek(6)
	if err != nil && err != io.EOF {
		in.close()
		return nil, fmt.Errorf("read %s: %w", f.name, cause(err))
	}
	text, closeText, err := decompress(compressed, magic)
	if err != nil {
		in.close()
		return nil, fmt.Errorf("read %s: %w", f.name, in.explain(err))
	}
	if closeText != nil {
		closers = append([]func() error{closeText}, closers...)
	}
	in.plain = text == io.Reader(compressed)

	decoded := compressed
	if !in.plain {
		decoded = bufio.NewReaderSize(text, 1<<16)
	}
	mark, err := decoded.Peek(3)
	if err != nil && err != io.EOF {
		in.close()
		return nil, fmt.Errorf("read %s: %w", f.name, in.explain(err))
	}
	switch {
	case charset == "utf-8" && bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		decoded.Discard(3)
		in.offset = 3
		in.Reader = decoded
	case charset == "utf-8" && (bytes.HasPrefix(mark, []byte("\xff\xfe")) || bytes.HasPrefix(mark, []byte("\xfe\xff"))):
		charset = "utf-16" // a byte order mark that UTF-8 text cannot begin with
		fallthrough
	case charset != "utf-8":
		in.plain = false
		in.Reader = transform.NewReader(decoded, charsets[charset].NewDecoder())
	default:
		in.Reader = decoded
	}
	return in, nil
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
// understands. It has the offset on disk, not the name.
func (in *input) explain(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the compressed data ends early, at byte %d: the file is truncated", in.read.n.Load())
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrMagicMismatch):
		return fmt.Errorf("the compressed data is damaged near byte %d: %w", in.read.n.Load(), err)
	}
	return cause(err)
}

// cause strips the path that package os adds: our messages have it already.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// seek goes to an offset of a plain regular file.
func (in *input) seek(offset int64) error {
	if _, err := in.file.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", in.name, cause(err))
	}
	in.Reader = in.read
	return nil
}

// standardInput is a variable for the tests.
var standardInput io.Reader = os.Stdin

// pump reads from r in a goroutine, so that a read can end with ctx. A read
// that never returns, of a terminal for instance, keeps its goroutine until the
// process ends: nothing portable interrupts it.
type pump struct {
	ctx    context.Context
	r      io.Reader
	chunks chan []byte
	err    error // set before chunks is closed
	rest   []byte
}

func (p *pump) Read(b []byte) (int, error) {
	if p.chunks == nil {
		p.chunks = make(chan []byte)
		go p.run()
	}
	if len(p.rest) == 0 {
		select {
		case c, ok := <-p.chunks:
			if !ok {
				return 0, p.err
			}
			p.rest = c
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pump) run() {
	defer close(p.chunks)
	for {
		b := make([]byte, 1<<16)
		n, err := p.r.Read(b)
		if n > 0 && !send(p.ctx, p.chunks, b[:n]) {
			return
		}
		if err != nil {
			p.err = err
			return
		}
	}
}
