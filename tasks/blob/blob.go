// Package blob keeps values by their content: whoever puts the same bytes twice has one
// blob, whose name (a reference) is the SHA-256 of its bytes in hex. Arguments that the
// tasks of a job share, blocks of elements of array jobs, and large results are blobs.
//
// A Store keeps them in one of three places: the objects of the broker, S3, or a
// directory that all machines share. Memory is bounded whatever the size of a blob, and
// content is never wrong: it is compared with its name whenever it is read. A cache of
// files, which several processes may share, saves workers from fetching a blob twice.
package blob

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rpipe-dev/rpipe/store"
)

// ErrNotFound says that there is no blob of that name.
var ErrNotFound = errors.New("no such blob")

// ErrCorrupt says that what is kept under a name is not what the name says.
var ErrCorrupt = errors.New("content differs from its name")

// Options say where blobs are. One of Objects, S3 and Dir is set.
type Options struct {
	Objects  Objects        // those of the broker
	S3       store.Location // prefix of the objects
	S3Client *store.Client  // nil is one with the defaults
	Dir      string         // directory that all machines share

	Cache    string // directory of copies on this machine; "" is a temporary one, which Close removes
	MaxCache int64  // bytes of copies that nobody holds; 0 is 4 GiB
}

// Objects is a place for blobs. Put is atomic: others see the whole object or none.
// Errors for names that are not there wrap ErrNotFound; Delete takes those as deleted.
type Objects interface {
	Put(ctx context.Context, name string, r io.Reader) (size int64, err error)
	Open(ctx context.Context, name string) (io.ReadCloser, int64, error)
	Stat(ctx context.Context, name string) (size int64, modified time.Time, err error)
	Delete(ctx context.Context, name string) error
	List(ctx context.Context, fn func(name string, size int64, modified time.Time) error) error
}

// Store keeps blobs. Its methods may be called by several goroutines.
type Store struct {
	objects Objects
}

// Open looks at the place and makes the cache directory.
func Open(o Options) (*Store, error) { return nil, errors.ErrUnsupported }

// Close removes a temporary cache. Files that are held stay until they are released.
func (s *Store) Close() error { return nil }

// Put stores what r yields and returns its reference. Where it is there already nothing
// is written.
func (s *Store) Put(ctx context.Context, r io.Reader) (ref string, size int64, err error) {
	return "", 0, errors.ErrUnsupported
}

// PutBytes stores b.
func (s *Store) PutBytes(ctx context.Context, b []byte) (ref string, err error) {
	return "", errors.ErrUnsupported
}

// Open streams a blob. The last Read fails with ErrCorrupt where content and name differ.
func (s *Store) Open(ctx context.Context, ref string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.ErrUnsupported
}

// Bytes is a whole blob of at most max bytes.
func (s *Store) Bytes(ctx context.Context, ref string, max int64) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// File is a local file with the content of a blob, fetched once for all who ask. It is
// read-only, and stays until release is called.
func (s *Store) File(ctx context.Context, ref string) (path string, release func(), err error) {
	return "", nil, errors.ErrUnsupported
}

// Stat is the size of a blob and when it was last put.
func (s *Store) Stat(ctx context.Context, ref string) (size int64, modified time.Time, err error) {
	return 0, time.Time{}, errors.ErrUnsupported
}

// Delete removes blobs; those that are not there count as removed.
func (s *Store) Delete(ctx context.Context, refs ...string) error { return errors.ErrUnsupported }

// List calls fn for each blob, in no order.
func (s *Store) List(ctx context.Context, fn func(ref string, size int64, modified time.Time) error) error {
	return errors.ErrUnsupported
}
