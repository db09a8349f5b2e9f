//go:build linux

package soak

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// client is an HTTP client that keeps one connection and tries nothing twice:
// net/http's own would hide a connection that the server has dropped.
type client struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// errRefused is that of a server that does not listen any more.
var errRefused = errors.New("connection refused")

// patience is how long any answer may take: that of the proxy's queue and of R,
// on a machine that has other things to do.
const patience = time.Minute

func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	c.conn, c.r = conn, bufio.NewReader(conn)
	return nil
}

// do sends a request and reads its answer. An error is a connection that was
// dropped.
func (c *client) do(r *http.Request) (*answer, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := r.Write(c.conn); err != nil {
		return nil, fmt.Errorf("sending: %w", err)
	}
	return c.read(r)
}

// read reads the answer to a request that was sent.
func (c *client) read(r *http.Request) (*answer, error) {
	got, err := http.ReadResponse(c.r, r)
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	a := &answer{status: got.StatusCode, header: got.Header}
	if a.body, err = io.ReadAll(got.Body); err != nil {
		return nil, fmt.Errorf("half an answer with status %d: %w", a.status, err)
	}
	if got.Close {
		c.close()
	}
	return a, nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// reset closes the connection as a client does that crashes.
func (c *client) reset() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.close()
}
