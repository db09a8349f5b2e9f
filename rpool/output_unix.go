//go:build unix

package rpool

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits on what is kept of an R process's output.
const (
	maxCaptured = 64 << 10 // of one request
	maxTail     = 4 << 10  // for the cause of a death
	maxLine     = 16 << 10 // longer lines are handed on in pieces
	drainStep   = 64 << 10 // one read
)

// output drains what an R process and its children write to stdout and stderr,
// always, so that a full pipe never stops R, and in bounded memory.
//
// What is written between a request and its answer belongs to the request. No
// marker says so: R has written its output to this pipe before it writes the
// answer to another, so when Go has the answer, whatever the pipe holds (at most
// its capacity) is the request's.
type output struct {
	f    *os.File
	raw  syscall.RawConn
	emit func(line string) // gets the lines outside of requests; never under mu

	mu        sync.Mutex
	capturing bool
	captured  []byte
	dropped   int      // captured bytes beyond maxCaptured
	tail      []byte   // the last maxTail bytes
	line      []byte   // a line without its end yet, outside of requests
	lines     []string // complete, not emitted yet
	buf       []byte
	eof       bool
	told      *teller // gets what the task at hand writes, in place of captured

	telling sync.Mutex // held while a task's events are handed on; before mu

	done chan struct{} // closed when run has returned
}

func newOutput(f *os.File, emit func(string)) (*output, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &output{f: f, raw: raw, emit: emit, buf: make([]byte, drainStep), done: make(chan struct{})}
	go o.run()
	return o, nil
}

// run drains until end of file or finish.
func (o *output) run() {
	defer close(o.done)
	for {
		more := false
		err := o.raw.Read(func(fd uintptr) bool {
			more = o.step(fd)
			return more || o.ended()
		})
		o.flush()
		if err != nil || !more {
			return
		}
	}
}

// step reads once without waiting. It reports whether there was anything.
func (o *output) step(fd uintptr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		n, err := unix.Read(int(fd), o.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			o.eof = o.eof || err != unix.EAGAIN
			return false
		case n == 0:
			o.eof = true
			return false
		}
		o.take(o.buf[:n])
		return true
	}
}

func (o *output) ended() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.eof
}

// take files b where it belongs. o.mu is held.
func (o *output) take(b []byte) {
	if n := len(b); n >= maxTail {
		o.tail = append(o.tail[:0], b[n-maxTail:]...)
	} else {
		if over := len(o.tail) + n - maxTail; over > 0 {
			o.tail = o.tail[:copy(o.tail, o.tail[over:])]
		}
		o.tail = append(o.tail, b...)
	}
	if o.told != nil {
		o.told.take(b)
		return
	}
	if o.capturing {
		keep := min(len(b), maxCaptured-len(o.captured))
		o.captured = append(o.captured, b[:keep]...)
		o.dropped += len(b) - keep
		return
	}
	if o.emit == nil {
		return
	}
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			o.line = append(o.line, b...)
			if len(o.line) > maxLine {
				o.endLine()
			}
			return
		}
		o.line = append(o.line, b[:i]...)
		o.endLine()
		b = b[i+1:]
	}
}

func (o *output) endLine() {
	o.lines = append(o.lines, string(bytes.ToValidUTF8(bytes.TrimRight(o.line, "\r"), []byte("\uFFFD"))))
	o.line = o.line[:0]
}

// flush emits complete lines. Only run calls it, and finish after run.
func (o *output) flush() {
	o.tell(nil)
	o.mu.Lock()
	lines := o.lines
	o.lines = nil
	o.mu.Unlock()
	for _, l := range lines {
		o.emit(l)
	}
}

// empty reads what the pipe holds now, and no more than a pipe can hold: some
// other process may write without end.
func (o *output) empty() {
	o.raw.Control(func(fd uintptr) {
		for i := 0; i < pipeSize/drainStep && o.step(fd); i++ {
		}
	})
}

// begin starts the capture for a request.
func (o *output) begin() {
	o.empty()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.capturing, o.captured, o.dropped = true, o.captured[:0], 0
}

// end returns what was captured and how many bytes were left out beyond
// maxCaptured.
func (o *output) end() (text string, dropped int) {
	o.empty()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.capturing = false
	if len(o.captured) == 0 {
		return "", 0
	}
	text = string(bytes.ToValidUTF8(o.captured, []byte("\uFFFD")))
	if cap(o.captured) > 4<<10 {
		o.captured = nil // keep idle workers small
	}
	return text, o.dropped
}

// lastLines is the end of all output up to now, from the beginning of a line.
func (o *output) lastLines() string {
	o.empty()
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.tail
	if len(b) == maxTail {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}

// finish is called when the process has ended: it reads what is left, though
// others may hold the pipe open, and closes it.
func (o *output) finish() {
	if errors.Is(o.f.SetReadDeadline(time.Unix(1, 0)), os.ErrNoDeadline) {
		o.f.Close()
	}
	<-o.done
	o.empty()
	o.mu.Lock()
	if len(o.line) > 0 {
		o.endLine()
	}
	o.mu.Unlock()
	o.flush()
	o.f.Close()
}
