package front

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// piece is how much of an answer is written under one deadline. Answers up to it
// go into the system's buffers and count for nothing in response_memory.
const piece = 64 << 10

// writer is the ResponseWriter that handlers see. It gives every write a deadline,
// and puts what a slow reader has not taken into a file when memory for such
// answers is used up: then Write returns at once, and finish sends the file.
type writer struct {
	http.ResponseWriter
	f        *Front
	r        *http.Request
	rc       *http.ResponseController
	x        *exchange.Exchange
	status   int           // 0 until it is known
	written  int64         // of the body
	spent    time.Duration // in writes
	wrote    bool          // the header is out
	hijacked bool
	close    bool        // the connection ends with this answer
	unread   bool        // the request has a body that has not been read to its end
	cors     http.Header // what a policy allows to other origins; nil where R says
	file     *stored
	err      error // of the first write that failed
}

func newWriter(f *Front, rw http.ResponseWriter, r *http.Request, x *exchange.Exchange) *writer {
	return &writer{ResponseWriter: rw, f: f, r: r, rc: http.NewResponseController(rw), x: x}
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.wrote {
		return
	}
	w.wrote, w.status = true, status
	h := w.Header()
	cleanResponse(h, status, w.cors)
	set(h, "X-Request-Id", w.x.ID)
	if (w.close || w.f.closing.Load()) && w.r.ProtoMajor == 1 && status != http.StatusSwitchingProtocols {
		h["Connection"] = []string{"close"}
	}
	w.deadline(0)
	if w.unread && w.r.ProtoMajor == 1 {
		// net/http reads on before it answers, so as to keep the connection.
		w.rc.SetReadDeadline(time.Now().Add(unreadBody))
		if c := connOf(w.r.Context()); c != nil {
			c.rest.Store(true)
		}
	}
	w.ResponseWriter.WriteHeader(status)
	w.relax()
}

func (w *writer) Write(p []byte) (int, error) {
	if !w.wrote {
		if w.Header()["Content-Type"] == nil && w.Header()["Content-Encoding"] == nil {
			// net/http looks at the first write, which here is a piece.
			w.Header().Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.file == nil && len(p) > piece {
		if w.f.answers.take(int64(len(p))) {
			defer w.f.answers.give(int64(len(p)))
		} else {
			w.file = w.f.spool.store()
		}
	}
	if w.file != nil {
		n, err := w.file.Write(p)
		w.fail(err)
		return n, err
	}
	return w.send(p)
}

// send writes p to the connection.
func (w *writer) send(p []byte) (sent int, err error) {
	for {
		now := p[sent:min(len(p), sent+piece)]
		w.deadline(len(now))
		start := time.Now()
		n, err := w.ResponseWriter.Write(now)
		w.spent += time.Since(start)
		if w.r.Method != http.MethodHead {
			w.written += int64(n)
		}
		sent += n
		if err != nil {
			w.fail(err)
			return sent, err
		}
		if sent == len(p) {
			w.relax()
			return sent, nil
		}
	}
}

// deadline gives the client time for n more bytes: what write_timeout and
// write_rate allow for the whole answer, less what writing it took so far.
func (w *writer) deadline(n int) {
	c := &w.f.config
	left := time.Duration(c.WriteTimeout) + atRate(w.written+int64(n), c.WriteRate) - w.spent
	w.rc.SetWriteDeadline(time.Now().Add(max(left, 0)))
}

// relax lifts the deadline while nothing is written: HTTP/2 resets a stream whose
// deadline passes, however idle it is.
func (w *writer) relax() {
	if w.r.ProtoMajor == 2 {
		w.rc.SetWriteDeadline(time.Time{})
	}
}

// fail remembers the first failure.
func (w *writer) fail(err error) {
	if w.err == nil && err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		w.err = err
	}
}

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.file != nil {
		return nil // it is sent when it is whole
	}
	w.deadline(0)
	start := time.Now()
	err := w.rc.Flush()
	w.spent += time.Since(start)
	w.fail(err)
	w.relax()
	return err
}

// Flush implements http.Flusher.
func (w *writer) Flush() { w.FlushError() }

// Hijack implements http.Hijacker. Deadlines and limits end with it.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := w.rc.Hijack()
	if err == nil {
		w.hijacked, w.wrote = true, true
		if w.status == 0 {
			w.status = http.StatusSwitchingProtocols
		}
	}
	return c, rw, err
}

// finish sends what is in the file, and gives net/http time for the rest.
func (w *writer) finish() {
	if w.file != nil {
		defer w.file.Close()
		if w.err == nil {
			w.sendFile()
		}
	}
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	w.deadline(0)
}

func (w *writer) sendFile() {
	buffer := pieces.Get().(*[]byte)
	defer pieces.Put(buffer)
	if err := w.file.rewind(); err != nil {
		w.fail(err)
		return
	}
	for {
		n, err := w.file.Read(*buffer)
		if n > 0 {
			if _, err := w.send((*buffer)[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				w.fail(err)
			}
			return
		}
	}
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

var errNoPlace = &fault.Fault{
	Status: http.StatusServiceUnavailable, Reason: "no_place", RetryAfter: time.Second,
	Message: "the server holds too much at once",
}
