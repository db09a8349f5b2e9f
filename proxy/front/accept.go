package front

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// backlogGrace is how long connections are still taken when the listener is about
// to close: those in the system's queue would be reset.
const backlogGrace = 50 * time.Millisecond

// feed is the listener that net/http knows: connections that are counted and, with
// TLS, greeted.
type feed struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newFeed(addr net.Addr) *feed {
	return &feed{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *feed) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *feed) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *feed) Addr() net.Addr { return l.addr }

func (l *feed) give(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
	}
}

// accept takes connections while there is place for more, until the listener is
// closed, and waits for those that it greets.
func (f *Front) accept() {
	var greeting sync.WaitGroup
	defer close(f.door)
	defer greeting.Wait()
	defer f.listener.Close()
	pause := time.Duration(0)
	for f.conns.enter(f.base) {
		c, err := f.listener.Accept()
		if err != nil {
			f.conns.leave(nil)
			if f.conns.stopped() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: that passes.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			f.log.Warn("a connection cannot be accepted", "error", err, "wait", pause)
			if !wait(f.base, pause) {
				return
			}
			continue
		}
		pause = 0
		raw := &counted{Conn: c, all: &f.conns}
		f.conns.add(raw)
		if f.keys == nil {
			f.feed.give(newTapped(raw, raw, f.tapSize()))
			continue
		}
		greeting.Go(func() { f.greet(raw) })
	}
}

// greet does the TLS handshake here and not in net/http, which shows what came in
// over TLS to nobody.
func (f *Front) greet(raw *counted) {
	ctx, cancel := context.WithTimeout(f.base, time.Duration(f.config.HeaderTimeout))
	defer cancel()
	c := tls.Server(raw, f.keys.config())
	if err := c.HandshakeContext(ctx); err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
			raw.SetWriteDeadline(time.Now().Add(time.Second))
			raw.Write([]byte("HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks HTTPS: ask for https:// instead.\n"))
		}
		raw.Close()
		f.log.Debug("a TLS handshake failed", "client", raw.RemoteAddr(), "error", err)
		return
	}
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		f.feed.give(c)
		return
	}
	f.feed.give(secured{newTapped(c, raw, f.tapSize())})
}

func looksLikeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}

// stopAccepting lets in who waits in the system's queue, and nobody after.
func (f *Front) stopAccepting() {
	f.conns.stop()
	if l, ok := f.listener.(interface{ SetDeadline(time.Time) error }); ok && l.SetDeadline(time.Now().Add(backlogGrace)) == nil {
		return
	}
	f.listener.Close()
}

// wait reports false where ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
