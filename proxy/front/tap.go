package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// readAhead is how much net/http may have read beyond the headers of a request
// when it calls the handler: the size of its buffer.
const readAhead = 4 << 10

// tapped is an HTTP/1 connection that remembers the headers as they came. net/http
// drops the Content-Length of a request that has a Transfer-Encoding too, or the
// other way round in HTTP/1.0, and says nothing. Where a proxy before us reads
// such a request differently, the rest of the body is a request of its own to one
// of the two: that is how requests are smuggled, so they are refused.
type tapped struct {
	net.Conn          // the plain text
	raw      *counted // what is below it
	most     int

	mu   sync.Mutex // Read is called in the background while a handler runs
	tail []byte     // the last bytes that were read
	off  bool       // of HTTP/2

	// rest says that the client may still be sending what nobody will read. See Close.
	rest atomic.Bool
}

func newTapped(c net.Conn, raw *counted, most int) *tapped {
	return &tapped{Conn: c, raw: raw, most: most}
}

// tapSize is what net/http reads for headers at most, and the buffer.
func (f *Front) tapSize() int { return int(f.config.MaxHeader) + 4<<10 + readAhead }

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || n <= 0 {
		return n, err
	}
	if over := len(c.tail) + n - c.most; over > 0 {
		c.tail = append(c.tail[:0], c.tail[min(over, len(c.tail)):]...)
	}
	c.tail = append(c.tail, p[max(0, n-c.most):n]...)
	return n, err
}

// trim forgets all but what may be of the next request: the headers of r, too, or
// they would be taken for those of the next one with the same first line.
func (c *tapped) trim(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tail = append(c.tail[:0], behind(c.tail, requestLine(r))...)
	if over := len(c.tail) - readAhead; over > 0 {
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	if cap(c.tail) > 4*readAhead {
		c.tail = append([]byte(nil), c.tail...)
	}
	c.rest.Store(false)
}

// Close listens for a moment to a client that is still sending: the system would
// reset the connection otherwise, and the client might not see its answer.
func (c *tapped) Close() error {
	if c.rest.CompareAndSwap(true, false) && !c.raw.all.stopped() {
		c.CloseWrite()
		c.SetReadDeadline(time.Now().Add(unreadBody))
		io.CopyN(io.Discard, c.Conn, 4<<20)
	}
	return c.Conn.Close()
}

func (c *tapped) disable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off, c.tail = true, nil
}

// had reports whether the headers of r, as they came, had one of that name.
func (c *tapped) had(r *http.Request, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := requestLine(r)
	for rest := c.tail; ; {
		at := bytes.Index(rest, line)
		if at < 0 {
			return false
		}
		rest = rest[at+len(line):]
		for block := rest; ; {
			row, after, more := bytes.Cut(block, []byte("\n"))
			row = bytes.TrimSuffix(row, []byte("\r"))
			if key, _, ok := bytes.Cut(row, []byte(":")); ok && bytes.EqualFold(bytes.TrimSpace(key), []byte(name)) {
				return true
			}
			if !more || len(bytes.TrimSpace(bytes.SplitN(after, []byte("\n"), 2)[0])) == 0 {
				break // the empty line behind the headers
			}
			block = after
		}
	}
}

func requestLine(r *http.Request) []byte {
	return []byte(r.Method + " " + r.RequestURI + " " + r.Proto)
}

// behind is what stands in tail behind the headers that follow the first such line;
// all of it where there are none. What an earlier body has like it cannot lead
// further than to the end of the true headers.
func behind(tail, line []byte) []byte {
	_, rest, more := bytes.Cut(tail, line)
	for first := true; more; first = false {
		var row []byte
		row, rest, more = bytes.Cut(rest, []byte("\n"))
		if more && !first && len(bytes.TrimSpace(row)) == 0 {
			return rest
		}
	}
	return tail
}

// secured is a tapped connection over TLS, of which it tells net/http.
type secured struct{ *tapped }

func (c secured) ConnectionState() tls.ConnectionState {
	return c.Conn.(*tls.Conn).ConnectionState()
}

// CloseWrite lets net/http take its leave so that the client can read the answer.
func (c *tapped) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

type connKey struct{}

// withConn puts an HTTP/1 connection into the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	switch t := c.(type) {
	case *tapped:
		return context.WithValue(ctx, connKey{}, t)
	case secured:
		return context.WithValue(ctx, connKey{}, t.tapped)
	}
	return ctx
}

func connOf(ctx context.Context) *tapped {
	c, _ := ctx.Value(connKey{}).(*tapped)
	return c
}
