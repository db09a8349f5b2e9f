package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
)

// maxHeld is how much of a stream is kept in memory before it goes to a file.
const maxHeld = 1 << 20

// Put stores what r yields and returns its reference. Where it is there already it is
// not sent again. A Reader that can Seek is read twice; what others yield goes through
// a temporary file where it is large.
func (s *Store) Put(ctx context.Context, r io.Reader) (ref string, size int64, err error) {
	if file, ok := r.(io.ReadSeeker); ok {
		if start, err := file.Seek(0, io.SeekCurrent); err == nil {
			return s.putFile(ctx, file, start)
		}
	}
	head := make([]byte, 0, 64<<10)
	for len(head) < maxHeld {
		n, err := r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if err == io.EOF {
			ref, err = s.PutBytes(ctx, head)
			return ref, int64(len(head)), err
		}
		if err != nil {
			return "", 0, err
		}
		if len(head) == cap(head) {
			head = append(head, 0)[:len(head)]
		}
	}
	temp, err := s.cache.create()
	if err != nil {
		return "", 0, err
	}
	defer temp.discard()
	if _, err := io.CopyBuffer(struct{ io.Writer }{temp}, io.MultiReader(bytes.NewReader(head), reader{ctx, r}), make([]byte, maxHeld)); err != nil {
		return "", 0, err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	if ref, size, err = s.putFile(ctx, temp, 0); err == nil {
		s.cache.keep(temp, ref) // it may be needed here too, and is no loss where it is not
	}
	return ref, size, err
}

func (s *Store) putFile(ctx context.Context, f io.ReadSeeker, start int64) (ref string, size int64, err error) {
	ref, size, err = digest(reader{ctx, f})
	if err != nil {
		return "", 0, err
	}
	err = s.write(ctx, ref, func() (io.Reader, error) {
		_, err := f.Seek(start, io.SeekStart)
		return io.LimitReader(f, size), err
	})
	return ref, size, err
}

// PutBytes stores b.
func (s *Store) PutBytes(ctx context.Context, b []byte) (ref string, err error) {
	ref = reference(b)
	err = s.write(ctx, ref, func() (io.Reader, error) { return bytes.NewReader(b), nil })
	return ref, err
}

// write sends a blob where it is not there yet, or has been for so long that somebody
// might be about to sweep it away. What changes while it is sent is not stored.
func (s *Store) write(ctx context.Context, ref string, content func() (io.Reader, error)) error {
	_, modified, err := s.objects.Stat(ctx, ref)
	switch {
	case err == nil && time.Since(modified) < Fresh:
		return nil
	case err == nil:
		if can, err := s.touch(ctx, ref); can && !errors.Is(err, ErrNotFound) {
			return err
		}
	case !errors.Is(err, ErrNotFound):
		return named("look for", ref, err)
	}
	r, err := content()
	if err == nil {
		_, err = s.objects.Put(ctx, ref, verify(r, ref))
	}
	return named("write", ref, err)
}

// Renew makes a blob that is there as new as one that is put now.
func (s *Store) Renew(ctx context.Context, ref string) error {
	if err := check(ref); err != nil {
		return err
	}
	if can, err := s.touch(ctx, ref); can {
		return err
	}
	r, _, err := s.objects.Open(ctx, ref)
	if err == nil {
		defer r.Close()
		_, err = s.objects.Put(ctx, ref, verify(r, ref))
	}
	return named("renew", ref, err)
}

// touch renews a blob where its place can without its bytes.
func (s *Store) touch(ctx context.Context, ref string) (can bool, err error) {
	place, can := s.objects.(toucher)
	if !can {
		return false, nil
	}
	return true, named("renew", ref, place.Touch(ctx, ref))
}

// reader is r until ctx ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
