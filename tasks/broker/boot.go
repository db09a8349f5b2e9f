package broker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A store that is open has a file with the id of the machine's boot. Who finds that of
// another boot knows that the power failed, or the like: what had not been synced is
// lost, and sequence numbers that others have seen may be given anew.
const bootFile = "boot"

// markOpen writes the file, and reports whether the machine went down while the store
// was open.
func markOpen(dir string) (crashed bool, err error) {
	path := filepath.Join(dir, bootFile)
	now := bootID()
	was, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return false, fmt.Errorf("task store: %w", err)
	default:
		crashed = len(now) == 0 || !bytes.Equal(was, now)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return false, fmt.Errorf("task store: %w", err)
	}
	defer f.Close()
	if _, err = f.Write(now); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return false, fmt.Errorf("task store: %w", err)
	}
	return crashed, nil
}

// markClosed says that the store is whole: everything is on the disk.
func markClosed(dir string) {
	if syncTree(dir) == nil {
		os.Remove(filepath.Join(dir, bootFile))
	}
}

// bootID tells boots of this machine apart; none where it cannot be known.
func bootID() []byte {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil
	}
	return id
}
