package sinks

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// lock keeps two runs from writing to one place at once. It is advisory and is
// released by the kernel when the process ends in whatever way.
type lock struct {
	f    *os.File
	path string
	died string // id of the run that held it last and never let go; "" for none
}

// owner is what the lock file says of who holds it.
type owner struct {
	Pid      int       `json:"pid"`
	Host     string    `json:"host,omitempty"`
	Run      string    `json:"run"`
	Pipeline string    `json:"pipeline,omitempty"`
	Since    time.Time `json:"since"`
}

var (
	errBusy    = errors.New("lock is held")
	errNoLocks = errors.New("the file system has no locks")
)

// acquire takes the lock file at path, or returns an error with ErrLocked in
// its chain that names the other's pid.
func acquire(path string, me owner) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		err = lockFile(f)
		switch {
		case errors.Is(err, errBusy):
			other := readOwner(f)
			f.Close()
			return nil, busy(other)
		case err != nil && !errors.Is(err, errNoLocks): // without locks it is as it would be without the guard
			f.Close()
			return nil, err
		}
		// The holder removes the file before it lets go, so the one we have
		// locked may no longer be the one that others see.
		if isAt(f, path) {
			died := ""
			if err == nil {
				died = readOwner(f).Run
			}
			return own(f, path, died, me)
		}
		f.Close()
	}
}

// isAt reports whether the open file is the one that path names.
func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// readOwner is what the file says; nothing where it says nothing of ours.
func readOwner(f *os.File) (o owner) {
	b := make([]byte, 4096)
	n, _ := f.ReadAt(b, 0)
	_ = json.Unmarshal(b[:n], &o)
	return o
}

func own(f *os.File, path, died string, me owner) (*lock, error) {
	b, err := json.Marshal(me)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(b, '\n'), 0)
	}
	if err != nil {
		os.Remove(path)
		f.Close()
		return nil, err
	}
	return &lock{f: f, path: path, died: died}, nil
}

func busy(other owner) error {
	if other.Pid == 0 {
		return ErrLocked
	}
	return fmt.Errorf("%w: run %s, pid %d on %s, since %s",
		ErrLocked, other.Run, other.Pid, other.Host, other.Since.Format(time.RFC3339))
}

// sync forces what the file says to stable storage: after a power failure it
// tells the next run whose files are not committed.
func (l *lock) sync() error {
	if l == nil || l.f == nil {
		return nil
	}
	return l.f.Sync()
}

// release removes the lock file and lets go. It may be repeated.
func (l *lock) release() {
	if l == nil || l.f == nil {
		return
	}
	_ = l.f.Truncate(0) // should it stay, it names no run that died
	removeLocked(l.f, l.path)
	l.f = nil
}
