package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// heartbeat is how often a stream of events on which nothing happens says so, for the
// proxies between.
const heartbeat = 15 * time.Second

// sse writes server-sent events.
type sse struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func newSSE(w http.ResponseWriter) (*sse, error) {
	h := w.Header()
	h.Set("Content-Type", api.Stream)
	h.Set("X-Accel-Buffering", "no") // nginx holds answers back otherwise
	s := &sse{w, http.NewResponseController(w)}
	return s, s.raw(": rpipe\nretry: 1000\n\n")
}

// send writes an event; id, unless 0, is where to go on.
func (s *sse) send(kind string, id uint64, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if id > 0 {
		b.WriteString("id: " + strconv.FormatUint(id, 10) + "\n")
	}
	b.WriteString("event: " + kind + "\ndata: ")
	b.Write(data) // JSON has no line breaks
	b.WriteString("\n\n")
	return s.raw(b.String())
}

// beat says that the stream is alive.
func (s *sse) beat() error { return s.raw(": -\n\n") }

func (s *sse) raw(text string) error {
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}

// lastEventID is where a client wants to go on; 0 where it does not say.
func lastEventID(r *http.Request) uint64 {
	n, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	return n
}
