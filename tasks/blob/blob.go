// Package blob keeps values by their content: whoever puts the same bytes twice has one
// blob, whose name (a reference) is the SHA-256 of its bytes in hex. Arguments that the
// tasks of a job share, blocks of elements of array jobs, and large results are blobs.
//
// A Store keeps them in one of three places: the objects of the broker, S3, or a
// directory that all machines share. Memory is bounded whatever the size of a blob, and
// content is never wrong: it is compared with its name whenever it is read. A cache of
// files, which several processes may share, saves workers from fetching a blob twice.
//
// Nobody counts references here. Who sweeps blobs away that nobody needs must spare
// those that were put within Fresh: a Put of what is there already renews it only then.
package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rpipe-dev/rpipe/store"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// ErrNotFound says that there is no blob of that name.
var ErrNotFound = errors.New("no such blob")

// ErrCorrupt says that what is kept under a name is not what the name says.
var ErrCorrupt = errors.New("the content is not what its name says")

// ErrTooLarge says that a blob is larger than the caller takes.
var ErrTooLarge = errors.New("the blob is too large")

// Fresh is for how long a blob counts as just put, and is not written again.
const Fresh = time.Hour

// A place is where blobs are. Put is atomic: others see the whole object or none, and
// none where r fails. What is not there is ErrNotFound, for Delete too.
type place interface {
	Put(ctx context.Context, name string, r io.Reader) (size int64, err error)
	Open(ctx context.Context, name string) (io.ReadCloser, int64, error)
	Stat(ctx context.Context, name string) (size int64, modified time.Time, err error)
	Delete(ctx context.Context, name string) error
	List(ctx context.Context, fn func(name string, size int64, modified time.Time) error) error
}

// A toucher is a place that can make a blob new again without its bytes.
type toucher interface {
	Touch(ctx context.Context, name string) error
}

// Options say where blobs are. One of Objects, S3 and Dir is set.
type Options struct {
	Objects  broker.Objects // those of the broker
	S3       store.Location // prefix of the objects
	S3Client *store.Client  // nil is one with the defaults
	Dir      string         // directory that all machines share

	Cache    string // directory of copies on this machine; "" is a temporary one, which Close removes
	MaxCache int64  // bytes of copies that are kept while nobody holds them; 0 is 4 GiB
}

// Store keeps blobs. Its methods may be called by several goroutines.
type Store struct {
	objects place
	owned   *store.Client // made by Open
	cache   *cache
	small   small
}

// Open makes what directories are missing. It does not look at the place yet.
func Open(o Options) (*Store, error) {
	s := &Store{}
	places := 0
	if o.Objects != (broker.Objects{}) {
		places++
		s.objects = objects{o.Objects}
	}
	if o.Dir != "" {
		places++
		s.objects = directory(o.Dir)
	}
	if o.S3.Bucket != "" {
		places++
		client := o.S3Client
		if client == nil {
			client = store.New(store.Config{})
			s.owned = client
		}
		s.objects = bucket{client, o.S3}
	}
	if places != 1 {
		return nil, fmt.Errorf("blobs: %d places are set, and it must be one of the broker, S3 and a directory", places)
	}
	var err error
	if s.cache, err = openCache(o.Cache, o.MaxCache); err != nil {
		return nil, fmt.Errorf("blobs: cache: %w", err)
	}
	return s, nil
}

// Close waits for what is being fetched, and removes a temporary cache.
func (s *Store) Close() error {
	err := s.cache.close()
	if s.owned != nil {
		s.owned.Close()
	}
	return err
}

// Stat is the size of a blob and when it was put.
func (s *Store) Stat(ctx context.Context, ref string) (size int64, modified time.Time, err error) {
	if err := check(ref); err != nil {
		return 0, time.Time{}, err
	}
	size, modified, err = s.objects.Stat(ctx, ref)
	return size, modified, named("look at", ref, err)
}

// Delete removes blobs; those that are not there count as removed. Copies in caches
// stay until they make room for others.
func (s *Store) Delete(ctx context.Context, refs ...string) error {
	for _, ref := range refs {
		if err := check(ref); err != nil {
			return err
		}
		s.small.drop(ref)
		if err := s.objects.Delete(ctx, ref); err != nil && !errors.Is(err, ErrNotFound) {
			return named("delete", ref, err)
		}
	}
	return nil
}

// An expirer is a place that can tell, in one step with removing it, that an object was
// made new again in this moment; and that drops what a Put has left which was cut short.
type expirer interface {
	Expire(ctx context.Context, name string, before time.Time) error
	Sweep(ctx context.Context, before time.Time) (int, error)
}

// Expire removes a blob unless it was put or renewed since before.
func (s *Store) Expire(ctx context.Context, ref string, before time.Time) error {
	if err := check(ref); err != nil {
		return err
	}
	if p, can := s.objects.(expirer); can {
		return named("expire", ref, p.Expire(ctx, ref, before))
	}
	_, modified, err := s.objects.Stat(ctx, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return named("expire", ref, err)
	}
	if err != nil || !modified.Before(before) {
		return nil
	}
	return s.Delete(ctx, ref)
}

// Sweep removes what is left of blobs whose Put began before a time and was cut short.
func (s *Store) Sweep(ctx context.Context, before time.Time) error {
	p, can := s.objects.(expirer)
	if !can {
		return nil // List of a directory does; a bucket has rules of its own for that
	}
	if _, err := p.Sweep(ctx, before); err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	return nil
}

// List calls fn for each blob, in no order, until it fails. What else lies in the same
// place is passed over.
func (s *Store) List(ctx context.Context, fn func(ref string, size int64, modified time.Time) error) error {
	return s.objects.List(ctx, func(name string, size int64, modified time.Time) error {
		if check(name) != nil {
			return nil
		}
		return fn(name, size, modified)
	})
}

// check says why ref is no reference, which also keeps it from being a path.
func check(ref string) error {
	if len(ref) == 64 {
		if b, err := hex.DecodeString(ref); err == nil && hex.EncodeToString(b) == ref {
			return nil
		}
	}
	return fmt.Errorf("%q is not the name of a blob: that is SHA-256 in 64 hex digits", ref)
}

func named(verb, ref string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s blob %s: %w", verb, ref[:12], err)
}
