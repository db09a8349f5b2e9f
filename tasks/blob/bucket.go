package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"time"

	"github.com/rpipe-dev/rpipe/store"
)

// bucket is a place for blobs on S3, below a prefix.
type bucket struct {
	client *store.Client
	prefix store.Location
}

func (b bucket) at(name string) store.Location {
	l := b.prefix
	if l.Key != "" && l.Key[len(l.Key)-1] != '/' {
		l.Key += "/"
	}
	l.Key += name
	return l
}

// Put sends what fits into a part as one request, which takes a third of the time.
func (b bucket) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	head, err := io.ReadAll(io.LimitReader(r, maxHeld))
	if err != nil {
		return 0, err
	}
	if len(head) < maxHeld {
		_, err := b.client.Put(ctx, b.at(name), head, store.Condition{})
		return int64(len(head)), err
	}
	up, err := b.client.Upload(ctx, b.at(name), func(string) error { return nil })
	if err != nil {
		return 0, err
	}
	size, err := io.CopyBuffer(struct{ io.Writer }{up}, io.MultiReader(bytes.NewReader(head), r), make([]byte, maxHeld))
	var pending *store.Pending
	if err == nil {
		pending, err = up.Close()
	}
	if err == nil {
		err = b.client.Complete(ctx, b.at(name), pending, size, true)
	}
	if err != nil {
		// where ctx has ended the parts must go all the same
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return 0, errors.Join(err, up.Abort(again))
	}
	return size, nil
}

func (b bucket) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	o, err := b.client.Stat(ctx, b.at(name))
	if err != nil {
		return nil, 0, b.absent(err)
	}
	r, err := b.client.Open(ctx, o, 0)
	return r, o.Size, b.absent(err)
}

func (b bucket) Stat(ctx context.Context, name string) (int64, time.Time, error) {
	o, err := b.client.Stat(ctx, b.at(name))
	return o.Size, o.Modified, b.absent(err)
}

func (b bucket) Delete(ctx context.Context, name string) error {
	return b.absent(b.client.Delete(ctx, b.at(name)))
}

func (b bucket) List(ctx context.Context, fn func(name string, size int64, modified time.Time) error) error {
	for o, err := range b.client.List(ctx, b.at("")) {
		if err != nil {
			return err
		}
		if err := fn(path.Base(o.Key), o.Size, o.Modified); err != nil {
			return err
		}
	}
	return nil
}

func (b bucket) absent(err error) error {
	if errors.Is(err, store.ErrNotExist) {
		return errors.Join(ErrNotFound, err)
	}
	return err
}
