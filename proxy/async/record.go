package async

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// request is what is kept of a request, but for its body.
type request struct {
	API    string      `json:"api"`
	Method string      `json:"method"`
	URI    string      `json:"uri"`  // as the API sees it
	Path   string      `json:"path"` // as the client sees it
	Host   string      `json:"host"`
	Header http.Header `json:"header"`
	Owner  string      `json:"owner,omitempty"`
	ID     string      `json:"id"` // X-Request-Id
	Client netip.Addr  `json:"client,omitzero"`
	Peer   netip.Addr  `json:"peer,omitzero"`
	Port   string      `json:"port,omitempty"`
	Scheme string      `json:"scheme"`
	Size   int64       `json:"size,omitempty"` // of the body
	Secret string      `json:"secret"`         // SHA-256 of the part of the address that is not the id, in hex
}

// repeatable reports whether a request may be run twice.
func (r *request) repeatable() bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// response is what is kept of an answer; its body follows.
type response struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
}

// Form of an answer: the length of the response in JSON, that, and the body.
func (r *response) encode() ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...), nil
}

// maxHead is larger than the headers of any answer.
const maxHead = 16 << 20

func readResponse(from io.Reader) (*response, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, fmt.Errorf("the answer that was kept is damaged: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxHead {
		return nil, errors.New("the answer that was kept is damaged: its head is too long")
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, fmt.Errorf("the answer that was kept is damaged: %w", err)
	}
	r := new(response)
	if err := json.Unmarshal(head, r); err != nil {
		return nil, fmt.Errorf("the answer that was kept is damaged: %w", err)
	}
	return r, nil
}

// inMemory is how much of an answer is held in memory while it comes; more is in a file.
const inMemory = 1 << 20

// recorder takes an answer.
type recorder struct {
	header http.Header
	status int
	most   int64
	size   int64
	memory bytes.Buffer
	file   *os.File // the whole body, where it is larger
	err    error
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// errTooLarge says that an answer is too large to be kept.
var errTooLarge = &fault.Fault{Status: http.StatusInternalServerError, Reason: "response_too_large", Message: "the answer is too large to be kept"}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.err != nil {
		return 0, w.err
	}
	w.size += int64(len(p))
	if w.most > 0 && w.size > w.most {
		w.err = errTooLarge
		return 0, w.err
	}
	if w.file == nil && w.memory.Len()+len(p) > inMemory {
		if w.err = w.spill(); w.err != nil {
			return 0, w.err
		}
	}
	if w.file == nil {
		return w.memory.Write(p)
	}
	n, err := w.file.Write(p)
	w.err = err
	return n, err
}

// spill goes on in a file.
func (w *recorder) spill() (err error) {
	if w.file, err = os.CreateTemp("", "rpipe-async-"); err != nil {
		return err
	}
	if err = os.Remove(w.file.Name()); err != nil { // it goes with the descriptor
		return err
	}
	_, err = w.file.Write(w.memory.Bytes())
	w.memory.Reset()
	return err
}

// body is all that was written.
func (w *recorder) body() (io.Reader, error) {
	if w.file == nil {
		return bytes.NewReader(w.memory.Bytes()), nil
	}
	_, err := w.file.Seek(0, io.SeekStart)
	return w.file, err
}

func (w *recorder) close() {
	if w.file != nil {
		w.file.Close()
	}
}
