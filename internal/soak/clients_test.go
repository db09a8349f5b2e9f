//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/internal/program"
)

// behave asks one thing after the other over one connection, and holds that each
// has the right answer.
func (s *trial) behave(ctx context.Context, rng *rand.Rand) {
	c := &client{addr: s.addr}
	defer c.close()
	for ctx.Err() == nil {
		if rng.IntN(50) == 0 {
			c.close() // a new connection now and then
		}
		s.put(c, anyOf(rng, asks)(rng), (*client).do)
	}
}

// put asks a question in a client's way and judges the answer.
func (s *trial) put(c *client, k *ask, do func(*client, *http.Request) (*answer, error)) {
	r, err := k.request(s.addr)
	if err != nil {
		s.t.Error(err)
		return
	}
	newest, begun := s.version.Load(), time.Now()
	a, err := do(c, r)
	if err != nil {
		s.t.Errorf("%s %.60s: the connection was dropped after %v: %v", k.method, k.path, time.Since(begun), err)
		c.close()
		return
	}
	if a.status == http.StatusBadGateway && !k.repeatable() && s.excused(begun) {
		return
	}
	version, err := k.judge(a)
	switch {
	case err != nil:
		s.t.Errorf("%s %.60s: a wrong answer after %v: %v", k.method, k.path, time.Since(begun), err)
	case version != 0 && int64(version) < newest:
		s.t.Errorf("%s %.60s: an answer of version %d, when one of version %d was there before the question", k.method, k.path, version, newest)
	}
	for v := s.version.Load(); int64(version) > v && !s.version.CompareAndSwap(v, int64(version)); v = s.version.Load() {
	}
	s.mu.Lock()
	s.asked[k.name]++
	s.mu.Unlock()
}

// excused reports whether there was a kill since a time, and counts the answer
// that it excuses.
func (s *trial) excused(since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.died++
	for _, at := range s.kills {
		if at.After(since) {
			return true
		}
	}
	return false
}

// sendSlowly posts bodies piece by piece. They must have their answers, and must
// not hold workers meanwhile.
func (s *trial) sendSlowly(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		c := &client{addr: s.addr}
		s.put(c, posted(rng), func(c *client, r *http.Request) (*answer, error) {
			if err := c.connect(); err != nil {
				return nil, err
			}
			if err := c.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
				return nil, err
			}
			from, to := io.Pipe()
			go func() { to.CloseWithError(r.Write(to)) }()
			for piece := make([]byte, 200+rng.IntN(1000)); ; {
				n, err := from.Read(piece)
				if errors.Is(err, io.EOF) {
					return c.read(r)
				}
				if err != nil {
					return nil, err
				}
				if _, err := c.conn.Write(piece[:n]); err != nil {
					return nil, err
				}
				program.Pause(context.WithoutCancel(ctx), time.Duration(rng.IntN(200))*time.Millisecond)
			}
		})
		c.close()
	}
}

// slowReader reads an answer in small pieces.
type slowReader struct {
	io.Reader
	rng *rand.Rand
}

func (r slowReader) Read(p []byte) (int, error) {
	program.Pause(context.Background(), time.Duration(r.rng.IntN(20))*time.Millisecond)
	return r.Reader.Read(p[:min(len(p), 4<<10)])
}

// readSlowly takes its time over large answers.
func (s *trial) readSlowly(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		c := &client{addr: s.addr}
		s.put(c, large(rng), func(c *client, r *http.Request) (*answer, error) {
			if err := c.connect(); err != nil {
				return nil, err
			}
			c.r.Reset(slowReader{c.conn, rng})
			return c.do(r)
		})
		c.close()
	}
}

// dribble opens connections and sends headers that never end, until the proxy
// has enough.
func (s *trial) dribble(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		c := &client{addr: s.addr}
		if err := c.connect(); err != nil {
			s.t.Errorf("a slow client cannot connect: %v", err)
			return
		}
		_, err := io.WriteString(c.conn, "GET /echo?nonce=never HTTP/1.1\r\nHost: soak\r\n")
		for i := 0; err == nil && program.Pause(ctx, time.Duration(100+rng.IntN(400))*time.Millisecond); i++ {
			_, err = fmt.Fprintf(c.conn, "X-Slow-%d: %d\r\n", i, i)
		}
		c.close()
	}
}

// hangUp sends requests and does not wait for the answers.
func (s *trial) hangUp(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		c := &client{addr: s.addr}
		if err := c.connect(); err != nil {
			s.t.Errorf("a client that is to hang up cannot connect: %v", err)
			return
		}
		k := anyOf(rng, []func(*rand.Rand) *ask{slow, large, bytesPosted, plot})(rng)
		r, err := k.request(s.addr)
		if err != nil {
			s.t.Error(err)
			return
		}
		_ = r.Write(c.conn) // it may not get that far
		program.Pause(ctx, time.Duration(rng.IntN(200))*time.Millisecond)
		if rng.IntN(2) == 0 {
			c.reset()
		}
		c.close()
	}
}
