package predict

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
)

// policy says when rows go to R.
type policy struct {
	rows     int
	bytes    int64
	requests int // 0 is no limit
	wait     time.Duration
}

// batcher is the stage that puts calls together. A batch is cut when there is a
// slot for it among those in R: what comes meanwhile joins it, so that batches
// grow with the load.
//
// Callers that each wait for their answer before they ask again come back in a
// burst, and the first of them would go alone into the slot that their own batch
// has left. So where there were more callers a moment ago than there are in line and
// in R, the first in line waits for them, for policy.wait at most. A caller that is
// alone never waits.
type batcher struct {
	policy
	slots  chan struct{} // of capacity concurrency: one for each batch in R
	poke   chan struct{} // of capacity 1: somebody has given up
	inside atomic.Int64  // calls in R
	line   []*call       // in order of arrival
	peak   int           // the most calls in line and in R since the last batch was cut
	recent [8]int        // that of the batches before
}

func newBatcher(p policy, concurrency int) *batcher {
	return &batcher{policy: p, slots: make(chan struct{}, concurrency), poke: make(chan struct{}, 1)}
}

// run is a stage.
func (b *batcher) run(ctx context.Context, in <-chan *stages.Batch[*call], out chan<- *stages.Batch[*work]) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for seq := uint64(0); ; {
		if in == nil && len(b.line) == 0 {
			return nil
		}
		var slot chan<- struct{}
		var due <-chan time.Time
		if wait := b.left(in == nil); wait == 0 {
			slot = b.slots
		} else if wait > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case next, ok := <-in:
			if !ok {
				in = nil
				break
			}
			b.line = append(b.line, next.Value)
			b.peak = max(b.peak, b.known())
		case slot <- struct{}{}:
			batch := b.cut()
			if batch == nil { // all have given up this moment
				<-b.slots
				break
			}
			if err := stages.Send(ctx, out, request(batch, seq)); err != nil {
				return err
			}
			seq++
		case <-due:
		case <-b.poke:
			b.prune()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// left is how long the first of the line is still to wait for others; negative
// where there is none.
func (b *batcher) left(closing bool) time.Duration {
	if len(b.line) == 0 {
		return -1
	}
	if b.wait == 0 || closing || b.known() >= slices.Max(b.recent[:]) || b.line[0].alone || b.requests > 0 && len(b.line) >= b.requests {
		return 0
	}
	rows := 0
	for _, c := range b.line {
		if rows += int(c.rows.NumRows()); rows >= b.rows {
			return 0
		}
	}
	return max(0, b.wait-time.Since(b.line[0].since))
}

// known is how many calls are in line and in R.
func (b *batcher) known() int { return len(b.line) + int(b.inside.Load()) }

// prune drops the calls that nobody waits for.
func (b *batcher) prune() {
	kept := b.line[:0]
	for _, c := range b.line {
		if c.state.Load() != givenUp {
			kept = append(kept, c)
		}
	}
	clear(b.line[len(kept):])
	b.line = kept
}

// cut takes a batch from the line: the first call, and all behind it that can go
// with it. Those that cannot keep their order for the next one. It is nil where
// nobody waits any more.
func (b *batcher) cut() *batch {
	next := &batch{}
	kept := b.line[:0]
	full := false
	for _, c := range b.line {
		s, ok := next.fits(c, &b.policy)
		if full || !ok {
			kept = append(kept, c)
			full = full || next.rows >= b.rows
			continue
		}
		if c.take() {
			next.add(c, s)
		}
	}
	clear(b.line[len(kept):])
	b.line = kept
	if len(next.calls) == 0 {
		return nil
	}
	copy(b.recent[1:], b.recent[:])
	b.recent[0], b.peak = b.peak, 0
	b.inside.Add(int64(len(next.calls)))
	next.seal()
	return next
}

// request is a batch on its way to R.
func request(b *batch, seq uint64) *stages.Batch[*work] {
	return &stages.Batch[*work]{Seq: seq, Rows: b.rows, Bytes: b.bytes, Value: &work{For: b, Rows: b.rows, Context: b.ctx}}
}

// wake tells the stage that somebody has given up.
func (b *batcher) wake() {
	select {
	case b.poke <- struct{}{}:
	default:
	}
}
