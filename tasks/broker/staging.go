package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	memoryDir     = "/dev/shm"
	stagingPrefix = "rpipe-batches-"
)

// stageInMemory has the server keep the batches that it has not committed yet in memory.
//
// It stages each in a small store of its own, of which it syncs half a dozen files and
// directories, so that a batch of which a crash has left a half is made whole. Nobody
// needs that here: the writes of a batch have nothing to do with each other, and are
// acknowledged after the stream itself is synced. Without it a batch costs one sync, as
// one message does. Where there is no memory file system, all is as the server has it.
func (e *embedded) stageInMemory() error {
	// Of a process that was killed; the server has recovered by now.
	note := filepath.Join(e.dir, "staging")
	if old, err := os.ReadFile(note); err == nil {
		dropStaging(string(old))
	}
	if info, err := os.Stat(memoryDir); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // there is none
	}
	staging, err := os.MkdirTemp(memoryDir, stagingPrefix)
	if err != nil {
		return nil //nolint:nilerr // it is not for us
	}
	link := filepath.Join(e.dir, "jetstream", "$G", "streams", recordStream, "batches")
	err = os.WriteFile(note, []byte(staging), 0o600)
	if err == nil {
		err = os.RemoveAll(link)
	}
	if err == nil {
		err = os.Symlink(staging, link)
	}
	if err != nil {
		dropStaging(staging)
		return fmt.Errorf("task store: staging: %w", err)
	}
	e.staging = staging
	return nil
}

// dropStaging removes a directory that stageInMemory has made.
func dropStaging(dir string) {
	if filepath.Dir(dir) == memoryDir && strings.HasPrefix(filepath.Base(dir), stagingPrefix) {
		os.RemoveAll(dir)
	}
}
