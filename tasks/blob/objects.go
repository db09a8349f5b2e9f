package blob

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// objects is the place for blobs that the broker offers.
type objects struct{ broker.Objects }

func (o objects) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	r, size, err := o.Objects.Open(ctx, name)
	return r, size, o.absent(err)
}

func (o objects) Stat(ctx context.Context, name string) (int64, time.Time, error) {
	info, err := o.Objects.Stat(ctx, name)
	return info.Size, info.Modified, o.absent(err)
}

func (o objects) Touch(ctx context.Context, name string) error {
	return o.absent(o.Objects.Touch(ctx, name))
}

func (o objects) Delete(ctx context.Context, name string) error {
	return o.absent(o.Objects.Delete(ctx, name))
}

func (o objects) List(ctx context.Context, fn func(name string, size int64, modified time.Time) error) error {
	return o.Objects.List(ctx, func(i broker.ObjectInfo) error { return fn(i.Name, i.Size, i.Modified) })
}

func (o objects) absent(err error) error {
	if errors.Is(err, broker.ErrNotFound) {
		return ErrNotFound
	}
	return err
}
