package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/rpipe-dev/rpipe/store"
)

// file is one piece of the input: where it is, and what messages call it.
type file struct {
	opener
	name string // as the user wrote it, or found under it
	size int64  // bytes; 0 where it is not known
	root *root  // the directory that was searched; nil where the file itself was named
	rel  string // its path below root, with slashes
}

// opener is a file wherever it is: on disk, on S3, standard input. Its errors
// name it.
type opener interface {
	// stream reads it from offset on. The end of ctx ends the reading.
	stream(ctx context.Context, offset int64) (io.ReadCloser, error)
	// random reads anywhere in it, until ctx ends, and says how long it is.
	random(ctx context.Context) (randomReader, int64, error)
	// version tells its content from another one under the same name. "" says
	// that it can be read once, and not from an offset.
	version() string
}

type randomReader interface {
	io.ReaderAt
	io.Closer
}

// localFile is a file on disk, or a named pipe.
type localFile struct {
	path string
	name string
	info fs.FileInfo
}

// local makes the file at path, which stat has found.
func local(path, name string, info fs.FileInfo) file {
	f := file{opener: localFile{path, name, info}, name: name}
	if info.Mode().IsRegular() {
		f.size = info.Size()
	}
	return f
}

// open fails where the file is not the one that version tells of: positions in
// the journal would be those of another content.
func (f localFile) open() (*os.File, error) {
	o, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.name, cause(err))
	}
	if f.info == nil || !f.info.Mode().IsRegular() {
		return o, nil
	}
	now, err := o.Stat()
	switch {
	case err != nil:
		err = cause(err)
	case now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()):
		err = fmt.Errorf("it was replaced or changed since the run began: it has %d bytes and had %d; start the run again once nobody writes to it", now.Size(), f.info.Size())
	default:
		return o, nil
	}
	o.Close()
	return nil, fmt.Errorf("read %s: %w", f.name, err)
}

func (f localFile) stream(ctx context.Context, offset int64) (io.ReadCloser, error) {
	o, err := f.open()
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		if _, err := o.Seek(offset, io.SeekStart); err != nil {
			o.Close()
			return nil, fmt.Errorf("read %s: %w", f.name, cause(err))
		}
	}
	stop := context.AfterFunc(ctx, func() { o.Close() }) // unblocks a read from a pipe
	return &localStream{o, stop}, nil
}

type localStream struct {
	*os.File
	stop func() bool
}

func (s *localStream) Close() error {
	s.stop()
	return s.File.Close()
}

func (f localFile) random(context.Context) (randomReader, int64, error) {
	o, err := f.open()
	if err != nil {
		return nil, 0, err
	}
	info, err := o.Stat()
	if err != nil {
		o.Close()
		return nil, 0, fmt.Errorf("read %s: %w", f.name, cause(err))
	}
	return o, info.Size(), nil
}

func (f localFile) version() string {
	if !f.info.Mode().IsRegular() {
		return ""
	}
	return fmt.Sprintf("%d bytes, modified %s", f.info.Size(), f.info.ModTime().UTC().Format(time.RFC3339Nano))
}

// cause strips the path that package os adds: our messages have it already.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// object is a file on S3.
type object struct {
	client *store.Client
	found  store.Object
}

func (o object) stream(ctx context.Context, offset int64) (io.ReadCloser, error) {
	return o.client.Open(ctx, o.found, offset)
}

func (o object) random(ctx context.Context) (randomReader, int64, error) {
	return &objectReader{at: o.client.ReaderAt(ctx, o.found), size: o.found.Size}, o.found.Size, nil
}

func (o object) version() string { return fmt.Sprintf("%d bytes, ETag %s", o.found.Size, o.found.ETag) }

// objectReader reads ranges of an object, each a request. The end, where formats
// have their directory, is read once for all that is wanted of it.
type objectReader struct {
	at   io.ReaderAt
	size int64
	tail []byte
}

const tailBytes = 64 << 10

func (r *objectReader) ReadAt(p []byte, offset int64) (int, error) {
	from := max(0, r.size-tailBytes)
	if offset < from {
		return r.at.ReadAt(p, offset)
	}
	if r.tail == nil {
		tail := make([]byte, r.size-from)
		if _, err := r.at.ReadAt(tail, from); err != nil && err != io.EOF {
			return 0, err
		}
		r.tail = tail
	}
	if offset >= r.size {
		return 0, io.EOF
	}
	n := copy(p, r.tail[offset-from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *objectReader) Close() error { return nil }

// standard is standard input.
type standard struct{}

// standardInput is a variable for the tests.
var standardInput io.Reader = os.Stdin

func (standard) stream(ctx context.Context, _ int64) (io.ReadCloser, error) {
	return &pump{ctx: ctx, r: standardInput}, nil
}

func (standard) random(context.Context) (randomReader, int64, error) {
	return nil, 0, errors.New("standard input cannot be read out of order")
}

func (standard) version() string { return "" }
