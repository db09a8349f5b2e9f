package httpuv

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// spool keeps an answer until its client has read it: in memory at first, then in
// a file.
type spool struct {
	limit int64
	size  int64
	mem   bytes.Buffer
	file  *os.File
}

// inMemory is how much of an answer is kept in memory.
const inMemory = 1 << 20

var errTooLarge = errors.New("the answer is too large")

func (s *spool) Write(b []byte) (int, error) {
	if s.size += int64(len(b)); s.size > s.limit {
		return 0, errTooLarge
	}
	if s.file == nil {
		if s.mem.Len()+len(b) <= inMemory {
			return s.mem.Write(b)
		}
		f, err := os.CreateTemp("", "rpipe-answer-")
		if err != nil {
			return 0, err
		}
		s.file = f
	}
	return s.file.Write(b)
}

func (s *spool) writeTo(w io.Writer) error {
	if _, err := w.Write(s.mem.Bytes()); err != nil || s.file == nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
