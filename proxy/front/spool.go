package front

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// budget is a number of bytes that many share.
type budget struct {
	most int64
	used atomic.Int64
}

func newBudget(most int64) *budget { return &budget{most: most} }

// take reports whether there are n bytes left, and takes them.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.most {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// spool holds bodies and answers that wait for somebody slow: in memory while
// there is some, else in files of a directory that nobody else may enter.
type spool struct {
	dir    string
	memory *budget
	disk   *budget
	making sync.Mutex // the directory, again
}

func newSpool(parent string, memory, disk int64) (*spool, error) {
	dir, err := os.MkdirTemp(parent, "rpipe-front-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for bodies: %w", err)
	}
	return &spool{dir: dir, memory: newBudget(memory), disk: newBudget(disk)}, nil
}

func (s *spool) close() { os.RemoveAll(s.dir) }

// create makes a file, and the directory again where it has gone: what cleans /tmp
// takes one that was of no use for days.
func (s *spool) create() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, "body-")
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	s.making.Lock()
	defer s.making.Unlock()
	if f, err = os.CreateTemp(s.dir, "body-"); errors.Is(err, fs.ErrNotExist) {
		if err = os.Mkdir(s.dir, 0o700); err == nil {
			f, err = os.CreateTemp(s.dir, "body-")
		}
	}
	return f, err
}

// stored is one body in a file, which comes with the first byte.
type stored struct {
	spool *spool
	file  *os.File
	size  int64
}

func (s *spool) store() *stored { return &stored{spool: s} }

func (s *stored) Write(p []byte) (n int, err error) {
	if !s.spool.disk.take(int64(len(p))) {
		return 0, errNoPlace
	}
	s.size += int64(len(p))
	if s.file == nil {
		if s.file, err = s.spool.create(); err != nil {
			return 0, unstored(err)
		}
	}
	if n, err = s.file.Write(p); err != nil {
		return n, unstored(err)
	}
	return n, nil
}

// unstored is the error of a body that cannot be written. A full disk passes, as
// the budget does.
func unstored(err error) error {
	err = fmt.Errorf("store a body: %w", err)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	full := *errNoPlace
	full.Err = fmt.Errorf("%w: free some, or set TMPDIR to a directory with more", err)
	return &full
}

func (s *stored) Read(p []byte) (int, error) {
	if s.file == nil {
		return 0, io.EOF
	}
	return s.file.Read(p)
}

func (s *stored) rewind() error {
	if s.file == nil {
		return nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return err
}

// Close removes the file.
func (s *stored) Close() error {
	s.spool.disk.give(s.size)
	s.size = 0
	if s.file == nil {
		return nil
	}
	s.file.Close()
	return os.Remove(s.file.Name())
}

// pieces are buffers for what passes through.
var pieces = sync.Pool{New: func() any { b := make([]byte, piece); return &b }}
