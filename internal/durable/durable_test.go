package durable

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"testing"
)

func TestSyncDir(t *testing.T) {
	if err := SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" { // which has nothing to force there
		if err := SyncDir("/proc/self"); err != nil {
			t.Error(err)
		}
	}
	if err := SyncDir(filepath.Join(t.TempDir(), "none")); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
