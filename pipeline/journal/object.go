package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rpipe-dev/rpipe/store"
)

// maxObject is far beyond any journal.
const maxObject = 256 << 20

func (d *Dir) readObject(ctx context.Context, name string) ([]byte, error) {
	b, o, err := d.s3.Get(ctx, d.at.Join(name), maxObject)
	if errors.Is(err, store.ErrNotExist) {
		d.etag[name] = ""
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	d.etag[name] = o.ETag
	return b, nil
}

// writeObject holds only where the object is as this process has left it.
func (d *Dir) writeObject(ctx context.Context, name string, data []byte) error {
	known, ok := d.etag[name]
	if !ok {
		if _, err := d.readObject(ctx, name); err != nil {
			return err
		}
		known = d.etag[name]
	}
	etag, err := d.s3.Put(ctx, d.at.Join(name), data, store.Condition{IfMatch: known, IfNoneMatch: known == ""})
	if errors.Is(err, store.ErrConflict) {
		// A put whose answer was lost is tried again, and finds its own object.
		there, readErr := d.readObject(ctx, name)
		if readErr == nil && bytes.Equal(there, data) {
			return nil
		}
		d.etag[name] = known // what another has put there is not ours to replace
		return fmt.Errorf("state: %s: %w", d.show(name), ErrFenced)
	}
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	d.etag[name] = etag
	return nil
}

func (d *Dir) removeObject(ctx context.Context, name string) error {
	d.etag[name] = ""
	if err := d.s3.Delete(ctx, d.at.Join(name)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

func (d *Dir) removeObjects(ctx context.Context, prefix string) error {
	var all []store.Location
	for o, err := range d.s3.List(ctx, d.at.Join(prefix)) {
		if err != nil {
			return fmt.Errorf("state: %w", err)
		}
		all = append(all, o.Location)
	}
	if len(all) == 0 {
		return nil
	}
	if err := d.s3.Delete(ctx, all...); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}
