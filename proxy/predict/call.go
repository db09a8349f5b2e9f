package predict

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// call is rows of one request that go to R together, with the place for what
// becomes of them.
type call struct {
	ctx   context.Context // of who waits
	rows  frame.Frame
	bytes int64
	since time.Time // it waits for a batch
	alone bool      // it must not share a batch
	state atomic.Int32
	line  *atomic.Int64 // how many wait
	done  chan outcome  // of capacity 1; written once the call was taken
}

// The states of a call. Whoever changes it from waiting decides: the batcher takes
// it, or its caller gives it up.
const (
	waiting int32 = iota
	taken
	givenUp
)

func newCall(ctx context.Context, rows frame.Frame, alone bool) *call {
	return &call{ctx: ctx, rows: rows, bytes: frame.Bytes(rows), since: time.Now(), alone: alone, done: make(chan outcome, 1)}
}

// take and giveUp report whether the call was waiting still.
func (c *call) take() bool   { return c.leave(taken) }
func (c *call) giveUp() bool { return c.leave(givenUp) }

func (c *call) leave(to int32) bool {
	if !c.state.CompareAndSwap(waiting, to) {
		return false
	}
	if c.line != nil {
		c.line.Add(-1)
	}
	return true
}

// outcome is what became of a call's rows.
type outcome struct {
	pieces   []piece // in order; they cover every row once
	queue    time.Duration
	run      time.Duration
	pid      int
	attempts int
	output   string // what R printed, for the first call of a batch
}

// piece is what became of the rows [from, to) of a call: a frame of as many rows, or
// an error.
type piece struct {
	from, to int
	frame    frame.Frame
	err      error
	whole    bool // they failed together with others
	mixed    bool // others of those were another request's
}
