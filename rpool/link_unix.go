//go:build unix

package rpool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// link is Go's side of the two FIFOs to one R process. One goroutine at a time
// reads and writes; interrupt, resume and end may come from others.
type link struct {
	in    *os.File // requests, which R reads
	out   *os.File // answers, which R writes
	dir   string
	limit int64 // of a payload, bytes

	buf      []byte // answers read ahead: buf[from:to]
	from, to int
	enlarged int // bytes taken from pipeBudget

	mu   sync.Mutex
	over bool // the R process has gone
}

const readAhead = 64 << 10

// newLink makes the FIFOs in dir and opens both for reading and writing: so R's
// own opening does not wait, it does not fail either while R has not opened yet,
// and there is no end of file before the first writer. After hello, settle gives
// up the directions that are R's.
func newLink(dir string, limit int64) (*link, error) {
	l := &link{dir: dir, limit: limit, buf: make([]byte, readAhead)}
	var err error
	if l.in, err = makeFIFO(filepath.Join(dir, "in"), unix.O_RDWR); err != nil {
		return nil, err
	}
	if l.out, err = makeFIFO(filepath.Join(dir, "out"), unix.O_RDWR); err != nil {
		l.in.Close()
		return nil, err
	}
	for _, f := range []*os.File{l.in, l.out} {
		l.enlarged += pipes.enlarge(f)
	}
	return l, nil
}

func makeFIFO(path string, flag int) (*os.File, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make fifo %s: %w", path, err)
	}
	return openFIFO(path, flag)
}

// openFIFO does not go by os.OpenFile, which would not poll a FIFO everywhere.
func openFIFO(path string, flag int) (*os.File, error) {
	for {
		fd, err := unix.Open(path, flag|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path), nil
		case unix.EINTR:
		default:
			return nil, fmt.Errorf("open fifo %s: %w", path, err)
		}
	}
}

// settle leaves Go with one direction of each FIFO: R then sees the end of its
// input when Go closes it, and Go the end of R's answers.
func (l *link) settle() error {
	in, err := openFIFO(filepath.Join(l.dir, "in"), unix.O_WRONLY)
	if err != nil {
		return err
	}
	out, err := openFIFO(filepath.Join(l.dir, "out"), unix.O_RDONLY)
	if err != nil {
		in.Close()
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in.Close()
	l.out.Close()
	l.in, l.out = in, out
	if l.over {
		l.deadline(time.Unix(1, 0))
	}
	return nil
}

// write sends one frame.
func (l *link) write(s splice) error {
	if len(s.tail) < readAhead {
		_, err := l.in.Write(append(s.head, s.tail...))
		return err
	}
	if _, err := l.in.Write(s.head); err != nil {
		return err
	}
	_, err := l.in.Write(s.tail)
	return err
}

// read receives one frame. The payload is the caller's.
func (l *link) read() (header, []byte, error) {
	for l.to-l.from < headerSize {
		if err := l.fill(); err != nil {
			return header{}, nil, err
		}
	}
	h, err := parseHeader(l.buf[l.from:l.to], l.limit)
	if err != nil {
		return header{}, nil, err
	}
	l.from += headerSize
	payload := make([]byte, h.length)
	n := copy(payload, l.buf[l.from:l.to])
	l.from += n
	for n < len(payload) {
		k, err := l.receive(payload[n:])
		n += k
		if err != nil && n < len(payload) {
			return header{}, nil, err
		}
	}
	return h, payload, nil
}

func (l *link) fill() error {
	if l.from > 0 {
		l.to = copy(l.buf, l.buf[l.from:l.to])
		l.from = 0
	}
	n, err := l.receive(l.buf[l.to:])
	l.to += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// interrupt makes a read or write under way, and every later one, return
// os.ErrDeadlineExceeded.
func (l *link) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline(time.Unix(1, 0))
}

// resume takes an interrupt back.
func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.deadline(time.Time{})
	}
}

// end says that the R process has gone: writes fail, and reads yield what it
// left in the pipe, then io.EOF, whoever else may hold the FIFO open.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.deadline(time.Unix(1, 0))
}

func (l *link) deadline(t time.Time) {
	l.in.SetDeadline(t)
	l.out.SetDeadline(t)
}

// receive is one read of answers.
func (l *link) receive(b []byte) (int, error) {
	n, err := l.out.Read(b)
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	l.mu.Lock()
	over := l.over
	l.mu.Unlock()
	if !over {
		return 0, err
	}
	raw, err := l.out.SyscallConn()
	if err != nil {
		return 0, err
	}
	raw.Control(func(fd uintptr) {
		for {
			if n, err = unix.Read(int(fd), b); err != unix.EINTR {
				return
			}
		}
	})
	if n <= 0 {
		return 0, io.EOF
	}
	return n, nil
}

// hangUp closes R's input: an R process that waits for a request then ends.
func (l *link) hangUp() { l.in.Close() }

func (l *link) close() {
	l.in.Close()
	l.out.Close()
	pipes.giveBack(l.enlarged)
	l.enlarged = 0
}

// brokenPipe reports whether err says that R's end of a FIFO is closed, which
// is a hint that the process has died, not the proof.
func brokenPipe(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrNoProgress)
}
