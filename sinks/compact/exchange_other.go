//go:build !linux

package compact

import (
	"errors"
	"io/fs"
)

func swap(a, b string) error { return errors.ErrUnsupported }

func canSwap(dir, run string) bool { return false }

func keepOwner(string, fs.FileInfo) {}
