package rdata

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// ReadFile reads an .rds file, compressed or not.
func ReadFile(path string, lim *Limits) (Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v, err := Decode(f, lim)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// WriteFile writes v to an .rds file, as version 2 and big-endian, which every R
// and every other reader knows. The file appears when it is complete; one that
// was there before is replaced.
func WriteFile(path string, v Value, c Compression) (err error) {
	b, err := Append(nil, v, Format{XDR: true})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// not os.CreateTemp, whose files only their owner may read
	name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%x", filepath.Base(path), rand.Uint64()))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the first error is the one that counts
			_ = os.Remove(name)
		}
	}()
	z, err := Compress(f, c)
	if err != nil {
		return err
	}
	if _, err = z.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = z.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(name, path)
}
