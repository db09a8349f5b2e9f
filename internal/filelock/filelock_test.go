package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestOneOpeningOfAFileHasItsLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if err := Take(first); err != nil {
		t.Fatal(err)
	}
	if err := Take(second); !errors.Is(err, ErrBusy) {
		t.Errorf("taken twice: %v", err)
	}
	first.Close()
	if err := Take(second); err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
}
