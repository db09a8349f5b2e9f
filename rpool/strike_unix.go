//go:build unix

package rpool

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// strike keeps the interrupts that do not end a request to that request.
type strike struct {
	mu     sync.Mutex
	going  bool // a request is under way
	struck bool // and has been sent a SIGINT
}

func (s *strike) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.going, s.struck = true, false
}

// shut says that the request is over, and reports whether it was struck: the
// SIGINT may be pending still.
func (s *strike) shut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.going = false
	return s.struck
}

// Interrupt sends SIGINT to the request under way, which goes on.
func (w *worker) Interrupt() bool {
	if once := w.isolated.Load(); once != nil {
		return once.Interrupt()
	}
	w.strike.mu.Lock()
	defer w.strike.mu.Unlock()
	if !w.strike.going || w.group.signal(w.pid, unix.SIGINT) != nil {
		return false
	}
	w.strike.struck = true
	return true
}

// announce makes the file by which a request learns that it is to end. Where that
// fails the ladder goes on without: its later rungs need nobody's consent.
func announce(path string) {
	if path == "" {
		return
	}
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		f.Close()
	}
}
