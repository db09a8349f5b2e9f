package blob

import (
	"context"
	"fmt"
	"io"
)

// Open streams a blob. Its last Read fails with ErrCorrupt where content and name differ.
func (s *Store) Open(ctx context.Context, ref string) (io.ReadCloser, int64, error) {
	if err := check(ref); err != nil {
		return nil, 0, err
	}
	if f := s.cache.open(ref); f != nil {
		if info, err := f.Stat(); err == nil {
			return f, info.Size(), nil
		}
		f.Close()
	}
	r, size, err := s.objects.Open(ctx, ref)
	if err != nil {
		return nil, 0, named("read", ref, err)
	}
	return verifiedFile{verify(r, ref), r}, size, nil
}

// Bytes is a whole blob of at most max bytes, which must not be changed: others may
// have the same. Of small ones those used last are kept in memory.
func (s *Store) Bytes(ctx context.Context, ref string, max int64) ([]byte, error) {
	b, ok := s.small.get(ref)
	if !ok {
		r, size, err := s.Open(ctx, ref)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if size > max {
			return nil, named("read", ref, fmt.Errorf("%w: %d bytes, of at most %d", ErrTooLarge, size, max))
		}
		b = make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, named("read", ref, err)
		}
		// the end, where it turns out whether all of it was right
		if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			if n > 0 || err == nil {
				err = fmt.Errorf("%w: it is longer than the %d bytes announced", ErrCorrupt, size)
			}
			return nil, named("read", ref, err)
		}
		s.small.put(ref, b)
	}
	if int64(len(b)) > max {
		return nil, named("read", ref, fmt.Errorf("%w: %d bytes, of at most %d", ErrTooLarge, len(b), max))
	}
	return b, nil
}

// File is a local file with the content of a blob, fetched once for all who ask. It is
// not to be changed, and stays until release is called, which may be more than once.
func (s *Store) File(ctx context.Context, ref string) (path string, release func(), err error) {
	if err := check(ref); err != nil {
		return "", nil, err
	}
	path, release, err = s.cache.hold(ctx, ref, s.fetch)
	return path, release, named("fetch", ref, err)
}

// fetch copies a blob to w.
func (s *Store) fetch(ctx context.Context, ref string, w io.Writer) error {
	r, size, err := s.objects.Open(ctx, ref)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, verify(reader{ctx, r}, ref), make([]byte, maxHeld))
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d bytes, of %d announced", ErrCorrupt, n, size)
	}
	return err
}
