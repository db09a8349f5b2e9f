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

// wentDown reports whether the machine went down while the store was open.
func wentDown(dir string) (bool, error) {
	was, err := os.ReadFile(filepath.Join(dir, bootFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("task store: %w", err)
	}
	now := bootID()
	return len(now) == 0 || !bytes.Equal(was, now), nil
}

// markOpen writes the file. What was in it must have been acted on before: it is all
// that tells of a crash.
func (e *embedded) markOpen() error {
	f, err := os.OpenFile(filepath.Join(e.dir, bootFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("task store: %w", err)
	}
	defer f.Close()
	if _, err = f.Write(bootID()); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("task store: %w", err)
	}
	e.marked = true
	return nil
}

// markClosed says that the store is whole: everything is on the disk.
func (e *embedded) markClosed() {
	if e.marked && syncTree(e.dir) == nil {
		os.Remove(filepath.Join(e.dir, bootFile))
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
