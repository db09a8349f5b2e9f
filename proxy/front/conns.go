package front

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connections are those that are open.
type connections struct {
	places  chan struct{} // one taken for each, and for the accept under way
	halted  atomic.Bool
	over    chan struct{} // closed some time after halted
	mu      sync.Mutex
	open    map[*counted]bool
	changed chan struct{} // closed, and made anew, when one ends
}

func (s *connections) init(most int) {
	s.places = make(chan struct{}, most)
	s.open = map[*counted]bool{}
	s.changed = make(chan struct{})
	s.over = make(chan struct{})
}

// enter takes a place; it reports false when ctx ends, or nobody else is let in.
func (s *connections) enter(ctx context.Context) bool {
	select {
	case s.places <- struct{}{}:
		return true
	case <-ctx.Done():
	case <-s.over:
	}
	return false
}

func (s *connections) add(c *counted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = true
}

// leave gives back a place, and that of c where there is one.
func (s *connections) leave(c *counted) {
	<-s.places
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	close(s.changed)
	s.changed = make(chan struct{})
}

// stop makes errors of accepting final, and lets nobody in after the grace.
func (s *connections) stop() {
	if s.halted.CompareAndSwap(false, true) {
		time.AfterFunc(backlogGrace, func() { close(s.over) })
	}
}

func (s *connections) stopped() bool { return s.halted.Load() }

// wait returns when none is left, or ctx ends.
func (s *connections) wait(ctx context.Context) {
	for {
		s.mu.Lock()
		n, changed := len(s.open), s.changed
		s.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// all are those that are open now.
func (s *connections) all() []*counted {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*counted, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// counted is a connection as it was accepted.
type counted struct {
	net.Conn
	all    *connections
	once   sync.Once
	read   atomic.Bool                             // something has come in
	active atomic.Pointer[context.CancelCauseFunc] // of the HTTP/1 request that is worked on; nil for none
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.read.Load() {
		c.read.Store(true)
	}
	return n, err
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.all.leave(c) })
	return err
}

// CloseWrite lets net/http take its leave so that the client can read the answer.
func (c *counted) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// counter counts what is under way.
type counter struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed when n gets 0; nil while nobody waits
}

func (c *counter) add(d int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n += d; c.n == 0 && c.zero != nil {
		close(c.zero)
		c.zero = nil
	}
}

// wait reports whether nothing is under way; false where ctx ends before.
func (c *counter) wait(ctx context.Context) bool {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return true
	}
	if c.zero == nil {
		c.zero = make(chan struct{})
	}
	zero := c.zero
	c.mu.Unlock()
	select {
	case <-zero:
		return true
	case <-ctx.Done():
		return false
	}
}
