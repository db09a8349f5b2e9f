package front

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// incoming is a body on its way in: paced, and limited.
type incoming struct {
	f     *Front
	body  io.ReadCloser
	rc    *http.ResponseController
	w     http.ResponseWriter
	http2 bool
	most  int64         // -1 for no limit
	got   int64         // so far
	spent time.Duration // waiting for it
}

func (f *Front) incoming(w http.ResponseWriter, r *http.Request, most int64) *incoming {
	return &incoming{f: f, body: r.Body, rc: http.NewResponseController(w), w: w, http2: r.ProtoMajor == 2, most: most}
}

// Read gives the client time for what it sent and a piece more: what body_timeout
// and body_rate allow for the whole body, less what waiting for it took so far.
func (b *incoming) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.most >= 0 && int64(len(p)) > b.most-b.got+1 {
		p = p[:b.most-b.got+1] // one more tells that it is too large
	}
	start := time.Now()
	left := time.Duration(b.f.config.BodyTimeout) + atRate(b.got, b.f.config.BodyRate) - b.spent
	b.rc.SetReadDeadline(start.Add(max(left, 0)))
	if b.got == 0 {
		b.rc.SetWriteDeadline(start.Add(max(left, 0))) // of 100 Continue
	}
	n, err := b.body.Read(p)
	b.spent += time.Since(start)
	b.got += int64(n)
	if err == io.EOF || b.http2 && err == nil {
		// In HTTP/1 net/http now listens for the client to leave, and a deadline
		// would look like that; in HTTP/2 it would reset the stream.
		b.rc.SetReadDeadline(time.Time{})
		b.rc.SetWriteDeadline(time.Time{})
	}
	if b.most >= 0 && b.got > b.most {
		b.giveUp()
		return n, tooLarge()
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	b.giveUp()
	switch {
	case timedOut(err):
		return n, &fault.Fault{Status: http.StatusRequestTimeout, Reason: "slow_body", Message: "the body came in too slowly", Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, fault.ErrClientGone
	}
	return n, &fault.Fault{Status: http.StatusBadRequest, Reason: "bad_body", Message: "the body is malformed", Err: err}
}

// Close implements io.Closer.
func (b *incoming) Close() error { return b.body.Close() }

// giveUp ends the connection with the answer: net/http would read on so as to keep
// it, at the pace of the client.
func (b *incoming) giveUp() {
	if !b.http2 {
		b.w.Header()["Connection"] = []string{"close"}
	}
}

// unreadBody is how long the rest of a body is listened to that nobody wanted.
const unreadBody = 500 * time.Millisecond

// tracked is the body of a request, of which the writer is told when it is over.
type tracked struct {
	io.ReadCloser
	w *writer
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		t.w.unread = false
	}
	return n, err
}

func tooLarge() error {
	return fault.New(http.StatusRequestEntityTooLarge, "too_large", "the body is too large")
}

// buffer takes in the whole body of r, in memory up to inMemory bytes. Release is
// for when the handler has returned.
func (f *Front) buffer(r *http.Request, x *exchange.Exchange, in *incoming, inMemory int64) (release func(), err error) {
	b := &exchange.Body{}
	m := memory{budget: f.spool.memory}
	whole, err := m.fill(in, r.ContentLength, inMemory)
	if err != nil {
		m.free()
		return nil, err
	}
	if whole {
		b.Data, b.Size = m.data, int64(len(m.data))
		r.Body = io.NopCloser(bytes.NewReader(b.Data))
		release = m.free
	} else {
		file := f.spool.store()
		err := m.spill(file, in)
		if err == nil {
			err = file.rewind()
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		b.File, b.Size = file.file, file.size
		r.Body = io.NopCloser(io.NewSectionReader(b.File, 0, b.Size))
		release = func() { file.Close() }
	}
	x.Body = b
	r.ContentLength, r.TransferEncoding = b.Size, nil
	r.Header["Content-Length"] = []string{strconv.FormatInt(b.Size, 10)}
	return release, nil
}

// memory is a body as far as it is in memory.
type memory struct {
	budget *budget
	data   []byte
	taken  int64
}

// fill reads until the end, or until memory is used up.
func (m *memory) fill(in io.Reader, length, most int64) (whole bool, err error) {
	if length > most || !m.grow(min(max(length, 4<<10), piece, max(most, 1))) {
		return false, nil
	}
	var probe [1]byte
	for {
		if len(m.data) < cap(m.data) {
			n, err := in.Read(m.data[len(m.data):cap(m.data)])
			m.data = m.data[:len(m.data)+n]
			if err != nil {
				return err == io.EOF, ended(err)
			}
			continue
		}
		// Full. Is it all?
		n, err := in.Read(probe[:])
		if n == 0 {
			if err != nil {
				return err == io.EOF, ended(err)
			}
			continue
		}
		next := min(max(2*int64(cap(m.data)), int64(cap(m.data))+1), max(most, int64(cap(m.data))+1))
		if length > int64(cap(m.data)) {
			next = min(next, length)
		}
		fits := m.grow(next)
		m.data = append(m.data, probe[0]) // where it does not fit, a file takes it all now
		if !fits || int64(len(m.data)) > most {
			return false, ended(err)
		}
		if err != nil {
			return err == io.EOF, ended(err)
		}
	}
}

func ended(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// grow makes place for n bytes in all, where the budget has them.
func (m *memory) grow(n int64) bool {
	if !m.budget.take(n - m.taken) {
		return false
	}
	m.taken = n
	m.data = append(make([]byte, 0, n), m.data...)
	return true
}

func (m *memory) free() {
	m.budget.give(m.taken)
	m.data, m.taken = nil, 0
}

// spill moves what is in memory to a file, and what still comes.
func (m *memory) spill(to *stored, in io.Reader) error {
	_, err := to.Write(m.data)
	m.free()
	if err != nil {
		return err
	}
	buffer := pieces.Get().(*[]byte)
	defer pieces.Put(buffer)
	for {
		n, err := in.Read(*buffer)
		if n > 0 {
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
