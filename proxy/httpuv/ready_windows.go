package httpuv

import (
	"errors"
	"os"
)

// openReady is for Unix: there are no R workers on Windows.
func openReady(path, dir string) (*os.File, error) {
	return nil, errors.ErrUnsupported
}
