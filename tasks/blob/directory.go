package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// directory is a place for blobs that all machines have mounted, where each may have it
// at another path. Files lie in 256 directories by the first two digits of their names.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name[:2], name) }

func (d directory) Put(ctx context.Context, name string, r io.Reader) (size int64, err error) {
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if size, err = io.CopyBuffer(struct{ io.Writer }{f}, reader{ctx, r}, make([]byte, maxHeld)); err != nil {
		return 0, err
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return 0, err
	}
	return size, durable.SyncDir(filepath.Dir(path))
}

func (d directory) Open(_ context.Context, name string) (io.ReadCloser, int64, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, 0, absent(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (d directory) Stat(_ context.Context, name string) (int64, time.Time, error) {
	info, err := os.Stat(d.path(name))
	if err != nil {
		return 0, time.Time{}, absent(err)
	}
	return info.Size(), info.ModTime(), nil
}

func (d directory) Touch(_ context.Context, name string) error {
	now := time.Now()
	return absent(os.Chtimes(d.path(name), now, now))
}

func (d directory) Delete(_ context.Context, name string) error {
	return absent(os.Remove(d.path(name)))
}

// List removes, on its way, what was being written a day ago and still is not complete.
func (d directory) List(ctx context.Context, fn func(name string, size int64, modified time.Time) error) error {
	err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return absentIsFine(err)
		}
		if isTemp(path) {
			if time.Since(info.ModTime()) > 24*time.Hour {
				os.Remove(path)
			}
			return nil
		}
		return fn(e.Name(), info.Size(), info.ModTime())
	})
	return absentIsFine(err)
}

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

func absentIsFine(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
