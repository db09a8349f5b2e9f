package sinks

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// lock keeps two runs from writing to one place at once. It is advisory and is
// released by the kernel when the process ends in whatever way.
type lock struct {
	f      *os.File
	path   string
	before owner // who held it last and did not let go, or left something
}

// acquire takes the lock file at path, or returns an error with ErrLocked in
// its chain that names the other's pid.
func acquire(path string, me owner) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		err = filelock.Take(f)
		switch {
		case errors.Is(err, filelock.ErrBusy):
			other := readOwner(f)
			f.Close()
			return nil, busy(other, me)
		case err != nil && !errors.Is(err, filelock.ErrNone): // without locks it is as it would be without the guard
			f.Close()
			return nil, err
		}
		// The holder removes the file before it lets go, so the one we have
		// locked may no longer be the one that others see.
		if isAt(f, path) {
			before := owner{}
			if err == nil {
				before = readOwner(f)
			}
			return own(f, path, before, me)
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

func own(f *os.File, path string, before, me owner) (*lock, error) {
	me.Unclean = before.runs()
	l := &lock{f: f, path: path, before: before}
	if err := l.say(me); err != nil {
		os.Remove(path)
		f.Close()
		return nil, err
	}
	return l, nil
}

// say writes whose the lock is.
func (l *lock) say(o owner) error {
	b, err := json.Marshal(o)
	if err == nil {
		err = l.f.Truncate(0)
	}
	if err == nil {
		_, err = l.f.WriteAt(append(b, '\n'), 0)
	}
	return err
}

// held reports whether the file at the lock's path is the one that we have locked.
func (l *lock) held() bool { return l != nil && l.f != nil && isAt(l.f, l.path) }

// sync forces what the file says to stable storage: after a power failure it
// tells the next run whose files are not committed.
func (l *lock) sync() error {
	if l == nil || l.f == nil {
		return nil
	}
	return l.f.Sync()
}

// release lets go, and removes the lock file. With left it stays and says that
// left was here. It may be repeated.
func (l *lock) release(left *owner) {
	if l == nil || l.f == nil {
		return
	}
	switch {
	case !l.held(): // it is another's
		l.f.Close()
	case left != nil && l.say(*left) == nil && l.f.Sync() == nil:
		l.f.Close()
	default:
		_ = l.f.Truncate(0) // should it stay, it names no run that died
		removeLocked(l.f, l.path)
	}
	l.f = nil
}
