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
}

// owner is what the lock file says of who holds it.
type owner struct {
	Pid      int       `json:"pid"`
	Host     string    `json:"host,omitempty"`
	Run      string    `json:"run"`
	Pipeline string    `json:"pipeline,omitempty"`
	Since    time.Time `json:"since"`
}

var errBusy = errors.New("lock is held")

// acquire takes the lock file at path, or returns an error with ErrLocked in
// its chain that names the other's pid.
func acquire(path string, me owner) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		switch err := lockFile(f); {
		case errors.Is(err, errBusy):
			var other owner
			b := make([]byte, 4096)
			n, _ := f.ReadAt(b, 0)
			_ = json.Unmarshal(b[:n], &other)
			f.Close()
			return nil, busy(other)
		case err != nil:
			f.Close()
			return nil, err
		}
		// The holder removes the file before it lets go, so the one we have
		// locked may no longer be the one that others see.
		if mine, err := f.Stat(); err == nil {
			if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
				return own(f, path, me)
			}
		}
		f.Close()
	}
}

func own(f *os.File, path string, me owner) (*lock, error) {
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
	return &lock{f: f, path: path}, nil
}

func busy(other owner) error {
	if other.Pid == 0 {
		return ErrLocked
	}
	return fmt.Errorf("%w: run %s, pid %d on %s, since %s",
		ErrLocked, other.Run, other.Pid, other.Host, other.Since.Format(time.RFC3339))
}

// release removes the lock file and lets go. It may be repeated.
func (l *lock) release() {
	if l == nil || l.f == nil {
		return
	}
	removeLocked(l.f, l.path)
	l.f = nil
}
