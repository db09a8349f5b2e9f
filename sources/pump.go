package sources

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// How long the rows of standard input wait for others before they go on, and, at
// the beginning, before the columns are inferred from them.
const (
	pause      = 100 * time.Millisecond
	firstPause = time.Second
)

// quiet reports whether a live input has nothing more to give for so long.
func (in *input) quiet(d time.Duration) bool {
	p, ok := in.raw.(*pump)
	text, plain := in.Reader.(*bufio.Reader)
	return in.live && ok && plain && text.Buffered() == 0 && p.quiet(d)
}

// pump reads from r in a goroutine, so that a read can end with ctx. A read
// that never returns, of a terminal for instance, keeps its goroutine until the
// process ends: nothing portable interrupts it.
type pump struct {
	ctx    context.Context
	r      io.Reader
	chunks chan []byte
	err    error // set before chunks is closed
	rest   []byte
}

func (p *pump) Read(b []byte) (int, error) {
	p.start()
	if len(p.rest) == 0 {
		select {
		case c, ok := <-p.chunks:
			if !ok {
				return 0, p.err
			}
			p.rest = c
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pump) start() {
	if p.chunks == nil {
		p.chunks = make(chan []byte)
		go p.run()
	}
}

// Close implements io.Closer. Standard input stays open.
func (p *pump) Close() error { return nil }

// quiet reports whether nothing comes for so long.
func (p *pump) quiet(d time.Duration) bool {
	p.start()
	if len(p.rest) > 0 {
		return false
	}
	clock := time.NewTimer(d)
	defer clock.Stop()
	select {
	case p.rest = <-p.chunks: // at the end it is nil, which Read tells of
		return false
	case <-clock.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *pump) run() {
	defer close(p.chunks)
	for {
		b := make([]byte, 1<<16)
		n, err := p.r.Read(b)
		if n > 0 && !send(p.ctx, p.chunks, b[:n]) {
			return
		}
		if err != nil {
			p.err = err
			return
		}
	}
}

// unread is standard input before a run: what will come is not known, and a look
// would take it away.
type unread struct{}

func (unread) Schema() *frame.Schema { return nil }
func (unread) Size() Size            { return Size{} }
func (unread) Traits() Traits        { return Traits{} }
func (unread) Close() error          { return nil }

func (unread) Next(context.Context) (*Read, error) {
	return nil, errors.New("standard input is not read to make a plan")
}
