package stages

import (
	"context"
	"sync"
)

// Ledger keeps account of what has been read and not yet settled. It turns
// settlements, which come in any order, into a frontier that only moves
// forward, and it bounds the bytes that are open: the memory of a run.
type Ledger struct {
	advance func(pos string, epoch uint64)
	max     int64

	mu      sync.Mutex
	open    []*Origin // in read order
	bytes   int64
	room    chan struct{} // closed, and replaced, when bytes are given back
	waiting bool
	front   string
}

// NewLedger allows max bytes to be open; one read always may, whatever its
// size. advance, if not nil, is called in order and under the ledger's lock
// with each new frontier.
func NewLedger(max int64, advance func(pos string, epoch uint64)) *Ledger {
	return &Ledger{max: max, advance: advance, room: make(chan struct{})}
}

// Origin is one read of a source. It is settled when every share of it is.
type Origin struct {
	ledger *Ledger
	pos    string
	epoch  uint64
	bytes  int64
	shares int
	held   int // of the shares, those that wait for more rows to be read
	err    error
}

// Open registers a read that ends at pos, waiting until its bytes fit.
func (l *Ledger) Open(ctx context.Context, pos string, epoch uint64, bytes int64) (*Origin, error) {
	for {
		l.mu.Lock()
		if len(l.open) == 0 || l.max <= 0 || l.bytes+bytes <= l.max {
			o := &Origin{ledger: l, pos: pos, epoch: epoch, bytes: bytes, shares: 1}
			l.open = append(l.open, o)
			l.bytes += bytes
			l.waiting = false
			l.mu.Unlock()
			return o, nil
		}
		room := l.room
		l.waiting = true
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (o *Origin) share() *Origin {
	o.ledger.mu.Lock()
	o.shares++
	o.ledger.mu.Unlock()
	return o
}

func (o *Origin) settle(err error) {
	l := o.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.shares--; o.shares < 0 {
		panic("stages: an origin was settled more often than it was shared")
	}
	if err != nil && o.err == nil {
		o.err = err
	}
	if o.shares > 0 {
		return
	}
	l.bytes -= o.bytes
	o.bytes = 0
	close(l.room)
	l.room = make(chan struct{})
	moved := false
	var epoch uint64
	// A lost read stops the frontier for good, so that it is never skipped.
	for len(l.open) > 0 && l.open[0].shares == 0 && l.open[0].err == nil {
		l.front, epoch, moved = l.open[0].pos, l.open[0].epoch, true
		l.open[0] = nil
		l.open = l.open[1:]
	}
	if moved && l.advance != nil {
		l.advance(l.front, epoch)
	}
}

// Frontier is the position after the last read for which it and every read
// before it are settled, and how many reads are open.
func (l *Ledger) Frontier() (pos string, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.front, len(l.open)
}

// Bytes is how many bytes are open, and how many may be.
func (l *Ledger) Bytes() (open, max int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes, l.max
}

// hold says that shares of origins wait for more rows: nothing will settle them
// until their holder lets them go, with release.
func hold(origins []*Origin) { held(origins, 1) }

// release takes back what hold said.
func release(origins []*Origin) { held(origins, -1) }

func held(origins []*Origin, by int) {
	for _, o := range origins {
		o.ledger.mu.Lock()
		o.held += by
		o.ledger.mu.Unlock()
	}
}

// stuck reports whether the run waits for itself: the source waits for room, and
// every share of what is open is held by those who wait for the source.
func (l *Ledger) stuck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.waiting {
		return false
	}
	for _, o := range l.open {
		if o.shares > o.held {
			return false
		}
	}
	return true
}
