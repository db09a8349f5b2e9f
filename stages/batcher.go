package stages

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Batcher cuts the stream into batches for the stages after it. Rows and
// Bytes are hard limits: a batch is split, never exceeded, unless one row alone
// is larger than Bytes.
type Batcher struct {
	Rows   int              `yaml:"rows" default:"10000" min:"0" doc:"Rows in a batch, at most. 0 is no limit."`
	Bytes  configs.Size     `yaml:"bytes" default:"16MiB" doc:"Bytes in a batch, at most, as the columns take them in memory. 0 is no limit."`
	Period configs.Duration `yaml:"period" default:"0s" doc:"How long rows wait for a batch to fill, from its first row. 0 is until the input ends."`
}

// Check implements configs.Checker.
func (c *Batcher) Check(report func(field, message, hint string)) {
	if c.Rows == 0 && c.Bytes == 0 && c.Period == 0 {
		report("", "rows, bytes and period are all off, so nothing would ever be cut", "give at least one limit, such as rows: 10000")
	}
}

// Plan implements Transform.
func (c *Batcher) Plan(in *frame.Schema) (*frame.Schema, error) { return in, nil }

// Build implements Transform.
func (c *Batcher) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	p := Policy{Rows: c.Rows, Bytes: int64(c.Bytes), Period: time.Duration(c.Period), Keep: func(epoch uint64, next Place) error {
		return env.Keep(epoch, next)
	}}
	_, err := env.Recall(&p.First)
	return Rebatch(p), err
}

// Policy says when a batch is full. A zero field is no limit.
type Policy struct {
	Rows   int
	Bytes  int64
	Period time.Duration // from the first row of the batch
	First  Place         // of the first batch
	// Keep, if not nil, is told after each batch of an epoch the place of the next.
	Keep func(epoch uint64, next Place) error
}

// Place is where a batch stands in the stream of a stage.
type Place struct {
	Batch uint64 // its number, from 0
	Row   int64  // that of its first row, from 0
}

// Rebatch cuts its input into batches by the policy. The end of the input
// flushes at once, and so does a new epoch. Where batches come out of order, rows
// of the older epoch that follow have a batch of their own, which goes when the
// epoch has no others left.
func Rebatch(p Policy) Stage[frame.Frame, frame.Frame] {
	return func(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
		b := &cutter{policy: p, out: out, view: meterOf(ctx), seq: p.First.Batch, first: p.First.Row}
		defer b.stopClocks()
		for {
			var idle <-chan time.Time
			if len(b.heaps) > 0 {
				idle = time.After(stuckCheck)
			}
			waited, end := time.Now(), b.view.waitsForInput()
			select {
			case next, ok := <-in:
				end()
				if !ok {
					return b.flushAll(ctx, "end")
				}
				b.stuck = 0
				b.view.received(next.Rows, next.Bytes, time.Since(waited))
				if err := b.add(ctx, next); err != nil {
					return err
				}
			case <-b.due():
				end()
				if err := b.flush(ctx, b.heaps[0], "period"); err != nil {
					return err
				}
			case <-idle:
				end()
				if err := b.look(ctx); err != nil {
					return err
				}
			case <-ctx.Done():
				end()
				return context.Cause(ctx)
			}
		}
	}
}

// stuckCheck is how long those who hold rows wait for more before they look
// whether any can come. A batch gives up when it has been stuck at stuckChecks
// such looks: a later stage may give way meanwhile.
const (
	stuckCheck  = 250 * time.Millisecond
	stuckChecks = 4
)

// cutter fills batches, one for each epoch of which rows come: two at most.
type cutter struct {
	policy Policy
	out    chan<- *Rows
	view   view
	stuck  int

	heaps []*heap // in the order of their first rows
	seq   uint64
	first int64
}

// heap is the pieces of the batch that is being filled from one epoch.
type heap struct {
	epoch   uint64
	timer   *time.Timer
	pieces  []frame.Frame
	origins []*Origin
	rows    int
	bytes   int64
}

// add takes a batch apart at the limits and sends on what is full.
func (b *cutter) add(ctx context.Context, in *Rows) error {
	if in.Rows == 0 { // only the schema: it goes on if nothing else tells it
		return Send(ctx, b.out, in)
	}
	h, err := b.heap(ctx, in.Epoch)
	if err != nil {
		return err
	}
	for at := 0; at < in.Rows; {
		n, reason := b.fits(h, in.Value, at, in.Rows)
		if n == 0 {
			if err := b.flush(ctx, h, reason); err != nil {
				return err
			}
			continue
		}
		if h.rows == 0 {
			b.heaps = append(b.heaps, h)
			if b.policy.Period > 0 {
				h.timer = time.NewTimer(b.policy.Period)
			}
		}
		piece := in.Value
		if n < in.Rows {
			piece = frame.Slice(in.Value, at, at+n)
		}
		at += n
		h.pieces = append(h.pieces, piece)
		h.rows += n
		h.bytes += frame.Bytes(piece)
		shares := in.Origins
		if at < in.Rows {
			shares = share(in.Origins)
		}
		hold(shares)
		h.origins = append(h.origins, shares...)
		if reason != "" {
			if err := b.flush(ctx, h, reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// heap is the one of an epoch. At the first row of an epoch, those of before are
// as good as over: their batches go.
func (b *cutter) heap(ctx context.Context, epoch uint64) (*heap, error) {
	for i := len(b.heaps) - 1; i >= 0; i-- {
		h := b.heaps[i]
		if h.epoch == epoch {
			return h, nil
		}
		if h.epoch < epoch {
			if err := b.flush(ctx, h, "epoch"); err != nil {
				return nil, err
			}
		}
	}
	return &heap{epoch: epoch}, nil
}

// fits is how many of the rows [at, end) of f the batch can still take, and,
// where they fill it, which limit they reach. It is 0 only for a batch with rows.
func (b *cutter) fits(h *heap, f frame.Frame, at, end int) (n int, reason string) {
	n = end - at
	if p := b.policy.Rows; p > 0 && h.rows+n >= p {
		n, reason = p-h.rows, "rows"
	}
	limit := b.policy.Bytes
	if limit <= 0 || h.bytes+frame.Bytes(frame.Slice(f, at, at+n)) <= limit {
		return n, reason
	}
	// The largest number of rows that fits, by bisection: sizes only grow.
	lo, hi := 0, n
	for lo < hi-1 {
		mid := (lo + hi) / 2
		if h.bytes+frame.Bytes(frame.Slice(f, at, at+mid)) <= limit {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo == 0 && h.rows == 0 {
		lo = 1 // one row that is larger than a batch may be: it goes alone
	}
	return lo, "bytes"
}

// flush sends the batch, and leaves an empty one.
func (b *cutter) flush(ctx context.Context, h *heap, reason string) error {
	whole := h.pieces[0]
	if len(h.pieces) > 1 {
		var err error
		if whole, err = frame.Concat(h.pieces...); err != nil {
			return err
		}
	}
	next := &Rows{
		Value: whole, Rows: h.rows, Bytes: h.bytes,
		Seq: b.seq, First: b.first, Epoch: h.epoch, Origins: h.origins,
	}
	h.stopClock()
	release(h.origins)
	b.view.cut(reason)
	b.seq++
	b.first += int64(h.rows)
	*h = heap{epoch: h.epoch}
	b.heaps = slices.DeleteFunc(b.heaps, func(o *heap) bool { return o == h })
	if b.policy.Keep != nil {
		if err := b.policy.Keep(next.Epoch, Place{b.seq, b.first}); err != nil {
			return err
		}
	}
	return Send(ctx, b.out, next)
}

func (b *cutter) flushAll(ctx context.Context, reason string) error {
	for len(b.heaps) > 0 {
		if err := b.flush(ctx, b.heaps[0], reason); err != nil {
			return err
		}
	}
	return nil
}

// due fires when the oldest batch has waited for its period.
func (b *cutter) due() <-chan time.Time {
	if len(b.heaps) == 0 || b.heaps[0].timer == nil {
		return nil
	}
	return b.heaps[0].timer.C
}

func (h *heap) stopClock() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

func (b *cutter) stopClocks() {
	for _, h := range b.heaps {
		h.stopClock()
	}
}

// look is called when no rows come: it sends the batch of an epoch that has no
// more, and ends a run that waits for itself.
func (b *cutter) look(ctx context.Context) error {
	for _, h := range b.heaps {
		if len(h.origins) > 0 && h.origins[0].ledger.lingers(h.epoch) {
			return b.flush(ctx, h, "epoch")
		}
	}
	if !b.isStuck() {
		b.stuck = 0
		return nil
	}
	if b.stuck++; b.stuck < stuckChecks {
		return nil
	}
	return b.tooLarge()
}

// isStuck reports whether the batch waits for rows that cannot come, since the
// source waits for the memory of those that are held here and elsewhere.
func (b *cutter) isStuck() bool {
	h := b.heaps[0]
	return len(h.origins) > 0 && b.policy.Period <= 0 && h.origins[0].ledger.stuck()
}

// tooLarge ends a run that would wait for itself for ever.
func (b *cutter) tooLarge() error {
	_, limit := b.heaps[0].origins[0].ledger.Bytes()
	return fmt.Errorf("a batch of %d rows does not fit into the run's memory of %v: %d rows fill it; lower batch.rows or batch.bytes, or raise memory",
		b.policy.Rows, configs.Size(limit), b.heaps[0].rows)
}
