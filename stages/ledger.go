package stages

import (
	"context"
	"sync"
)

// Ledger keeps account of what has been read and not yet settled. It bounds the
// bytes that are open, the memory of a run, and divides the reads into epochs:
// what commits together. Settlements come in any order; an epoch is settled when
// each of its reads is, and all epochs before it are.
type Ledger struct {
	max     int64
	settled chan Epoch

	mu      sync.Mutex
	open    []*Origin // in read order
	bytes   int64
	room    chan struct{} // closed, and replaced, when bytes are given back
	waiting bool
	rows    int64  // settled
	front   string // position after the last read for which it and all before it are settled

	epoch       uint64  // of the reads to come
	current     Epoch   // its reads so far
	cut         []Epoch // cut and not yet settled, in order
	uncommitted int     // cut and not yet committed
	freed       chan struct{}
}

// Epoch is a run of reads that commit together.
type Epoch struct {
	Number uint64
	Pos    string // position of the source after its last read
	Reads  int
	Rows   int64
}

// maxCut is how many epochs may be cut and not committed. With the one that is
// open there are at most two that sinks have parts of.
const maxCut = 1

// NewLedger allows max bytes to be open; one read always may, whatever its
// size. Epochs are numbered from first.
func NewLedger(max int64, first uint64) *Ledger {
	return &Ledger{
		max: max, room: make(chan struct{}), freed: make(chan struct{}),
		epoch: first, current: Epoch{Number: first}, settled: make(chan Epoch, maxCut+1),
	}
}

// Origin is one read of a source. It is settled when every share of it is.
type Origin struct {
	ledger  *Ledger
	pos     string
	epoch   uint64
	rows    int64
	bytes   int64
	shares  int
	held    int // of the shares, those that wait for more rows to be read
	spooled int // of the shares, those whose rows are on disk
	err     error
}

// Epoch is the epoch of the read.
func (o *Origin) Epoch() uint64 { return o.epoch }

// Open registers a read of rows that ends at pos, waiting until its bytes fit.
func (l *Ledger) Open(ctx context.Context, pos string, rows, bytes int64) (*Origin, error) {
	for {
		l.mu.Lock()
		if len(l.open) == 0 || l.max <= 0 || l.bytes+bytes <= l.max {
			o := &Origin{ledger: l, pos: pos, epoch: l.epoch, rows: rows, bytes: bytes, shares: 1}
			l.open = append(l.open, o)
			l.bytes += bytes
			l.waiting = false
			l.current.Pos = pos
			l.current.Reads++
			l.current.Rows += rows
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

// Cut ends the epoch that is open: reads from now on are of the next one. It
// returns false, and does nothing, where the epoch has no read yet, or where the
// one before it is not committed.
func (l *Ledger) Cut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current.Reads == 0 || l.uncommitted >= maxCut {
		return false
	}
	l.end()
	return true
}

// CutWait is Cut that waits until the epoch before is committed.
func (l *Ledger) CutWait(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.current.Reads == 0 || l.uncommitted < maxCut {
			if l.current.Reads > 0 {
				l.end()
			}
			l.mu.Unlock()
			return nil
		}
		freed := l.freed
		l.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *Ledger) end() {
	l.cut = append(l.cut, l.current)
	l.uncommitted++
	l.epoch++
	l.current = Epoch{Number: l.epoch}
	l.tell()
}

// Settled delivers, in order, the epochs that were cut and are settled. Each of
// them is to be answered with Committed.
func (l *Ledger) Settled() <-chan Epoch { return l.settled }

// Committed says that the oldest settled epoch is on stable storage, so that
// another may be cut.
func (l *Ledger) Committed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uncommitted--
	close(l.freed)
	l.freed = make(chan struct{})
}

// Current is the epoch that is open.
func (l *Ledger) Current() Epoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// tell sends the epochs that have become settled. The channel has room for all
// that may be cut.
func (l *Ledger) tell() {
	for len(l.cut) > 0 && (len(l.open) == 0 || l.open[0].epoch > l.cut[0].Number) {
		l.settled <- l.cut[0]
		l.cut = l.cut[1:]
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
	if o.shares > o.spooled {
		return
	}
	l.giveBack(o)
	if o.shares > 0 {
		return
	}
	l.rows += o.rows
	// A lost read stops the frontier for good, so that it is never skipped.
	for len(l.open) > 0 && l.open[0].shares == 0 && l.open[0].err == nil {
		l.front = l.open[0].pos
		l.open[0] = nil
		l.open = l.open[1:]
	}
	l.tell()
}

// giveBack returns the memory of an origin to the budget.
func (l *Ledger) giveBack(o *Origin) {
	if o.bytes == 0 {
		return
	}
	l.bytes -= o.bytes
	o.bytes = 0
	close(l.room)
	l.room = make(chan struct{})
}

// Frontier is the position after the last read for which it and every read
// before it are settled, and how many reads are open.
func (l *Ledger) Frontier() (pos string, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.front, len(l.open)
}

// SettledRows is how many rows the reads have that are settled.
func (l *Ledger) SettledRows() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows
}

// Bytes is how many bytes are open, and how many may be.
func (l *Ledger) Bytes() (open, max int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes, l.max
}
