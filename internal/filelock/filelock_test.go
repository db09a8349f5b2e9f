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

func TestThoseWhoShareKeepOthersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var files [3]*os.File
	for i := range files {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	for _, f := range files[:2] {
		if err := Share(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := Take(files[2]); !errors.Is(err, ErrBusy) {
		t.Errorf("taken while others share it: %v", err)
	}
	files[0].Close()
	files[1].Close()
	if err := Take(files[2]); err != nil {
		t.Errorf("after the others are gone: %v", err)
	}
}
